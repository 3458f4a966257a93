-- Delivered by the commit, or never.
notify pgrst, 'reload schema';
notify pgrst, 'reload config';
