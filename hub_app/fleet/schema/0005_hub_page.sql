-- For the page of the fleet: the address of the page of the site's hub, empty where it is not known, and
-- the rules of its alarms as JSON.
ALTER TABLE site ADD COLUMN page text NOT NULL DEFAULT '', ADD COLUMN rules text;
