-- Orders of two customers: PostgreSQL decides who sees which row.
--
-- Run it once, as a superuser, in an empty database with the name warehouse:
--     psql warehouse -f schema.sql
-- Then give the two roles that log in a password: \password jupyter_logins, \password orders_app.

-- 1. The users of Jupyter Server. Their roles cannot log in.
CREATE ROLE jupyter_people NOLOGIN;
CREATE ROLE alice NOLOGIN IN ROLE jupyter_people;
CREATE ROLE bob NOLOGIN IN ROLE jupyter_people;

-- 2. Jupyter Server makes a login for minutes with this role.
CREATE ROLE jupyter_logins LOGIN CREATEROLE;
GRANT alice, bob TO jupyter_logins WITH ADMIN OPTION; -- needed by PostgreSQL 16 and later

-- 3. The app without a kernel connects with this role, for all of its visitors.
CREATE ROLE orders_app LOGIN;

REVOKE ALL ON DATABASE warehouse FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE warehouse TO jupyter_people;
GRANT CONNECT ON DATABASE warehouse TO jupyter_logins, orders_app;

-- 4. The role of the user of this connection; NULL for connections that Jupyter Server has not made.
CREATE FUNCTION jupyter_person() RETURNS name
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT person.rolname
    FROM pg_catalog.pg_roles login
    JOIN pg_catalog.pg_auth_members lent ON lent.member = login.oid
    JOIN pg_catalog.pg_roles person ON person.oid = lent.roleid
    JOIN pg_catalog.pg_auth_members known ON known.member = person.oid
    JOIN pg_catalog.pg_roles people ON people.oid = known.roleid
    WHERE login.rolname = session_user
      AND login.rolname ~ '^jsu_[0-9]+_[0-9a-f]{24}$'
      AND people.rolname = 'jupyter_people'
$$;

-- 5. The orders.
CREATE TABLE orders (
    id integer PRIMARY KEY,
    owner name NOT NULL DEFAULT jupyter_person(),
    item text NOT NULL,
    price numeric(8, 2) NOT NULL
);
INSERT INTO orders (id, owner, item, price) VALUES
    (1001, 'alice', 'Tea, 2 kg', 38.00),
    (1002, 'bob', 'Coffee, 1 kg', 21.50),
    (1003, 'alice', 'Tea pot', 44.90),
    (1004, 'bob', 'Filters, 200', 6.40),
    (1005, 'alice', 'Honey, 500 g', 9.80);

ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO jupyter_people;
GRANT SELECT ON orders TO orders_app;

-- In a kernel, any code may run. The user is the one of the login, which no statement changes.
CREATE POLICY own_rows ON orders TO jupyter_people
    USING (owner = (SELECT jupyter_person()));

-- In the app, the code is the administrator's own, and says who the visitor is.
-- Without "TO orders_app", alice could say in her kernel that she is bob.
CREATE POLICY rows_of_the_visitor ON orders FOR SELECT TO orders_app
    USING (owner = current_setting('app.user', true));

-- 6. A table for each user alone needs no policy.
CREATE TABLE notes_of_alice AS SELECT 'Is there a lid for the Tea pot?' AS note;
CREATE TABLE notes_of_bob AS SELECT 'Ask for a discount on Coffee, 1 kg' AS note;
GRANT SELECT ON notes_of_alice TO alice;
GRANT SELECT ON notes_of_bob TO bob;
