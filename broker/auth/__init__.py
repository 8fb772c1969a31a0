"""Authentication and authorization: accounts, ACL, gate, passwords, certificates, enrolment."""
