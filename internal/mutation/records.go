package main

// recordMutations break what Blox stores and shows.
var recordMutations = []mutation{
	{
		name: "ds-former-leader-writes",
		bug:  "A former leader writes launch records.",
		edits: []edit{{
			"daemon-scheduler/store/commit.go",
			`If(append(t.compares, leads)...)`,
			`If(append(t.compares, leads)[:len(t.compares)]...)`,
		}},
		by: test("daemon-scheduler/store", "TestStore_CommitRejectsFormerLeadersAndChangedRecords"),
	},
	{
		name: "ds-record-not-compared",
		bug:  "The leader replaces a launch record that has changed since the plan was made.",
		edits: []edit{{
			"daemon-scheduler/store/commit.go",
			"\"=\", revision))\n	t.ops = append(t.ops, clientv3.OpPut(",
			"\">\", revision-1))\n	t.ops = append(t.ops, clientv3.OpPut(",
		}},
		by: test("daemon-scheduler/store", "TestStore_CommitRejectsFormerLeadersAndChangedRecords"),
	},
	{
		name: "ds-update-lost",
		bug:  "Two replicas update an environment at once, and one update is lost.",
		edits: []edit{{
			"daemon-scheduler/store/store.go",
			`guard := clientv3.Compare(clientv3.ModRevision(EnvironmentKey(name)), "=", e.StoredVersion)`,
			`guard := clientv3.Compare(clientv3.ModRevision(EnvironmentKey(name)), ">", 0)`,
		}},
		by: test("daemon-scheduler/store", "TestStore_UpdateLosesNoConcurrentUpdate"),
	},
	{
		name: "ds-idempotency-key-ignored",
		bug:  "A request that is repeated with its Idempotency-Key is executed twice.",
		edits: []edit{{
			"daemon-scheduler/store/responses.go",
			`s.client.Txn(ctx).If(guard, unused)`,
			`s.client.Txn(ctx).If([]clientv3.Cmp{guard, unused}[0])`,
		}},
		by: test("daemon-scheduler/store", "TestUpdateOnce_RefusesARepetitionThatReadsTheChange"),
	},
	{
		name:  "ds-patch-without-difference",
		bug:   "A PATCH without a difference adds a revision.",
		fixed: "a29246f",
		edits: []edit{{
			"daemon-scheduler/environment/revision.go",
			`if spec.Equal(latest.Spec) {`,
			`if spec.Equal(latest.Spec) && token == "" {`,
		}},
		by: test("daemon-scheduler/environment", "TestUpdate_WithoutADifferenceChangesNothing"),
	},
	{
		name:  "ds-bad-revision-shown",
		bug:   "After a rollback, the failed revision is shown as the one in effect.",
		fixed: "d756110",
		edits: []edit{{
			"daemon-scheduler/environment/conditions.go",
			`if found && inProgress.RollbackOf != "" {`,
			`if found {`,
		}},
		by: test("daemon-scheduler/environment", "TestEffective_IsTheRevisionThatRuns"),
	},
	{
		name:  "ds-reads-plan-anew",
		bug:   "Each GET and each reader of a stream computes its own plan.",
		fixed: "bcaecf5",
		edits: []edit{{
			"daemon-scheduler/status/summaries.go",
			`return e.summary != nil && e.inputs == in && now.Before(e.recomputeAt)`,
			`return e.summary != nil && e.inputs != in && now.Before(e.recomputeAt)`,
		}},
		by: test("daemon-scheduler/status", "TestSummaryEntry_HoldsUntilAnInputChangesOrTimeDoes"),
	},
	{
		name:  "ds-full-etcd-ready",
		bug:   "With a full etcd, the scheduler reports that it is ready.",
		fixed: "f6ac39a",
		edits: []edit{{
			"daemon-scheduler/status/readiness.go",
			`case s.Etcd.OutOfSpace(ctx):`,
			`case s.Etcd.OutOfSpace(ctx) && err != nil:`,
		}},
		by: test("daemon-scheduler/status", "TestReadiness_NamesAFullEtcd"),
	},
	{
		name: "ds-deleted-record-stays-cached",
		bug:  "A record that was deleted while the cache did not follow etcd stays in the cache.",
		edits: []edit{{
			"daemon-scheduler/cache/loader.go",
			"	l.kind.removeOthers(&c.index, listed)\n",
			"",
		}},
		by: test("daemon-scheduler/cache", "TestLoader_ForgetsRecordsThatTheNextListLacks"),
	},
	{
		name: "ds-namesake-gets-launches",
		bug:  "The leader writes launches of a deleted environment to a new one of the same name.",
		edits: []edit{{
			"daemon-scheduler/store/commit.go",
			"if c.Incarnation != 0 || c.IsDeleted {",
			"if c.IsDeleted {",
		}},
		by: test("daemon-scheduler/store", "TestStore_CommitRejectsFormerLeadersAndChangedRecords"),
	},
}
