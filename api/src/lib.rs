//! The HTTP interface: thin routes over commands and read models.
