import { test } from "vitest";

// In place of all tests on a backend that can't be loaded here: see vitest.config.ts.
const { TEST_ABSENT: name = "any backend", TEST_ABSENT_REASON: reason = "it is not known which" } = process.env;

test(`the tests on ${name}`, ({ skip }) => skip(reason));
