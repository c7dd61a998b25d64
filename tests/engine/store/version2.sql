-- A store of version 2, as the pytest-gpuemu of that version wrote it (sqlite3's iterdump).
PRAGMA application_id = 1733326149;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE baselines (
    tag TEXT NOT NULL, test_id TEXT NOT NULL, op TEXT NOT NULL, seed TEXT NOT NULL, edits TEXT NOT NULL,
    passed INTEGER NOT NULL, timestamp REAL NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tag, test_id, op, seed, edits)
);
INSERT INTO "baselines" VALUES('v1','test_k.py::test_k','softmax','18446744073709551615','rows=1',0,1700000000.5,'{"max_diff":Infinity,"text":"how"}');
INSERT INTO "baselines" VALUES('v1','test_k.py::test_k','softmax','7','',1,1700000000.5,'{"max_diff":0.25}');
CREATE TABLE campaigns (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    test_id TEXT NOT NULL, op TEXT NOT NULL, master_seed TEXT NOT NULL, generator INTEGER NOT NULL,
    cases INTEGER NOT NULL, passed INTEGER NOT NULL, failed INTEGER NOT NULL, undetermined INTEGER NOT NULL,
    could_not_run INTEGER NOT NULL, wall_s REAL NOT NULL, timestamp REAL NOT NULL
);
CREATE TABLE failures (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    test_id TEXT NOT NULL, op TEXT NOT NULL, seed TEXT NOT NULL, edits TEXT NOT NULL,
    timestamp REAL NOT NULL, body TEXT NOT NULL, inputs BLOB,
    UNIQUE (test_id, op, seed, edits)
);
INSERT INTO "failures" VALUES(1,'test_k.py::test_k','softmax','18446744073709551615','rows=1',1700000000.5,'{"generator":1,"text":"how","result":{"text":"how"}}',X'0001');
CREATE TABLE issued (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    op TEXT NOT NULL, seed TEXT NOT NULL, overrides TEXT NOT NULL,
    UNIQUE (op, seed)
);
INSERT INTO "issued" VALUES(1,'softmax','7','{"dtypes":["float16"]}');
CREATE TABLE results (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    test_id TEXT NOT NULL, op TEXT NOT NULL, seed TEXT NOT NULL, edits TEXT NOT NULL,
    passed INTEGER NOT NULL, timestamp REAL NOT NULL, body TEXT NOT NULL,
    UNIQUE (test_id, op, seed, edits)
);
INSERT INTO "results" VALUES(1,'test_k.py::test_k','softmax','18446744073709551615','rows=1',0,1700000000.5,'{"max_diff":Infinity,"text":"how"}');
INSERT INTO "results" VALUES(2,'test_k.py::test_k','softmax','7','',1,1700000000.5,'{"max_diff":0.25}');
CREATE INDEX results_by_seed ON results (seed);
CREATE INDEX failures_by_seed ON failures (seed);
CREATE INDEX campaigns_by_test ON campaigns (test_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('failures',1);
INSERT INTO "sqlite_sequence" VALUES('results',2);
INSERT INTO "sqlite_sequence" VALUES('issued',1);
COMMIT;
