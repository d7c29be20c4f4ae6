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
}
