create role a2 nologin;
create role o2 nologin;
create role s2 nologin;
create role t2 login noinherit;
create role u2 nologin;
grant o2 to m2 with inherit true, set true;
grant a2 to t2 with inherit false, set true;
grant s2 to t2 with inherit false, set true;
grant u2 to t2 with inherit false, set true;
