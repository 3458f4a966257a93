# authmig alone: one static binary, the certificates that TLS needs, no shell, no root.
# About 6 MB.
#
#   docker build -t authmig .
#   docker run --rm -e DATABASE_URL authmig migrate

FROM rust:1-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev
WORKDIR /authmig
COPY . .
# A target that is named keeps the flags from the build scripts, which are not static.
RUN target=$(rustc -vV | sed -n 's/^host: //p') && \
    RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --release --target "$target" && \
    cp "target/$target/release/authmig" /authmig/authmig

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /authmig/authmig /bin/authmig
USER 65532:65532
ENTRYPOINT ["/bin/authmig"]
CMD ["--help"]
