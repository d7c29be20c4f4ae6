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
	{
		name:  "ds-deletion-needs-cluster",
		bug:   "An environment whose cluster was deleted can never be deleted.",
		fixed: "0b08c37",
		edits: []edit{{
			enginePackage + "/deletion.go",
			`	if !stuck || !r.leader.checksCluster(r.env.Name, time.Now()) {`,
			`	if true || !stuck || !r.leader.checksCluster(r.env.Name, time.Now()) {`,
		}},
		by: test(schedulerEndToEnd, "TestDeletion_EndsWithoutTheCluster"),
	},
	{
		name:  "ds-deletion-waits-for-forgotten-task",
		bug:   "A deletion waits for ever for a task that ECS has forgotten.",
		fixed: "0b08c37",
		edits: []edit{{
			enginePackage + "/phantoms.go",
			`	r.Cluster.IgnoreTasks(arns)`,
			`	r.Cluster.IgnoreTasks(arns[:0])`,
		}},
		by: test(schedulerEndToEnd, "TestDeletion_EndsAfterAnInstanceVanished"),
	},
	{
		name:  "ds-overlap-unreported",
		bug:   "Two environments run the same daemon on an instance, and no condition reports it.",
		fixed: "0b08c37",
		edits: []edit{{
			"daemon-scheduler/status/overlaps.go",
			`	return known.conditions[e.Name]`,
			`	return nil`,
		}},
		by: test(schedulerEndToEnd, "TestConditions_WarnOfEnvironmentsThatRunTheSameDaemonOnAnInstance"),
	},
	{
		name:  "ds-wiped-etcd-kept",
		bug:   "The cache keeps the environments of an etcd that was wiped, and follows none that is created afterwards.",
		fixed: "f6ac39a",
		edits: []edit{{
			"daemon-scheduler/store/store.go",
			`	return s.monitor.Context(ctx)`,
			`	return context.WithCancel(ctx)`,
		}},
		by: test("daemon-scheduler/cache", "TestCache_FollowsAWipedEtcd"),
	},
	{
		name:  "ds-error-names-no-cluster",
		bug:   "The 404 of an unknown cluster does not name the cluster.",
		fixed: "0b08c37",
		edits: []edit{{
			"daemon-scheduler/environment/errors.go",
			`fmt.Sprintf("Cluster %.300q does not exist", given)}`,
			`fmt.Sprintf("Cluster does not exist%.0s", given)}`,
		}},
		by: test("daemon-scheduler/api", "TestErrors_AreSentInBothForms"),
	},
	{
		name:  "ds-error-names-no-task-definition",
		bug:   "The 404 of an unknown task definition does not name the task definition.",
		fixed: "0b08c37",
		edits: []edit{{
			"daemon-scheduler/environment/errors.go",
			`fmt.Sprintf("TaskDefinition %.300q does not exist", given)}`,
			`fmt.Sprintf("TaskDefinition does not exist%.0s", given)}`,
		}},
		by: test("daemon-scheduler/api", "TestErrors_AreSentInBothForms"),
	},
}
