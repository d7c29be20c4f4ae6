package main

const reconcilePackage = "cluster-state-service/reconcile"

// reconcileMutations break the comparison of the records with ECS.
var reconcileMutations = []mutation{
	{
		name:  "css-failed-cluster-rereads-all",
		bug:   "A cluster that fails makes all other clusters due, too.",
		fixed: "0b08c37",
		edits: []edit{{
			reconcilePackage + "/schedule.go",
			"	c.failures++\n	c.dueAt = ",
			"	c.failures++\n	for _, other := range s.clusters {\n		other.dueAt = now\n	}\n	c.dueAt = ",
		}},
		by: test(reconcilePackage, "TestSchedule_RetriesAFailedClusterAlone"),
	},
	{
		name:  "css-failed-cluster-waits",
		bug:   "A first reconciliation that fails is retried a minute later.",
		fixed: "0b08c37",
		edits: []edit{{
			reconcilePackage + "/schedule.go",
			`firstClusterDelay = time.Second`,
			`firstClusterDelay = time.Minute`,
		}},
		by: test(reconcilePackage, "TestSchedule_RetriesAFailedClusterAlone"),
	},
	{
		name:  "css-failing-cluster-blocks-lists",
		bug:   "Lists wait for ever for a cluster that ECS never lists.",
		fixed: "0b08c37",
		edits: []edit{{
			reconcilePackage + "/schedule.go",
			`		if !c.reconciled && c.failures < settledFailures {`,
			`		if !c.reconciled {`,
		}},
		by: test(reconcilePackage, "TestSchedule_SettlesOnceEachClusterWasReconciledOrHasFailedThreeTimes"),
	},
	{
		name: "css-periodic-occupy-workers",
		bug:  "Periodic reconciliations occupy all workers, and a repair waits for minutes.",
		edits: []edit{{
			reconcilePackage + "/schedule.go",
			`startable := !c.running && (c.urgent || periodic < periodicClusters)`,
			`startable := !c.running && periodic < concurrentClusters`,
		}},
		by: test(reconcilePackage, "TestSchedule_KeepsWorkersForUrgentClusters"),
	},
	{
		name: "css-drift-ignored",
		bug:  "Different counts of ECS cause no reconciliation, and lost events stay lost for 20 minutes.",
		edits: []edit{{
			reconcilePackage + "/schedule.go",
			"	c.dueAt, c.urgent = now, true\n	return true",
			"	return true",
		}},
		by: test(reconcilePackage, "TestReconciler_RepairsLostEventsByCounts"),
	},
	{
		name:  "css-drift-at-once",
		bug:   "One difference of the counts causes a reconciliation, although the event is on its way.",
		edits: []edit{{reconcilePackage + "/schedule.go", `c.differs < 2 ||`, `c.differs < 1 ||`}},
		by:    test(reconcilePackage, "TestSchedule_ReconcilesAClusterWhoseCountsDifferTwice"),
	},
	{
		name: "css-older-describe-wins",
		bug:  "A response of ECS replaces a newer record of an event.",
		edits: []edit{{
			reconcilePackage + "/diff.go",
			`		case d.version > record.Version:`,
			`		case d.version != record.Version:`,
		}},
		by: test(reconcilePackage, "TestDiff_CorrectsOutdatedRecords"),
	},
	{
		name: "css-older-record-stays",
		bug:  "Reconciliation does not repair records that are older than ECS's.",
		edits: []edit{{
			reconcilePackage + "/diff.go",
			`		case d.version > record.Version:`,
			`		case d.version > record.Version && d.inactive:`,
		}},
		by: test(reconcilePackage, "TestDiff_CorrectsOutdatedRecords"),
	},
	{
		name: "css-removal-at-once",
		bug:  "A record that ECS does not list is removed at once, although ECS is eventually consistent.",
		edits: []edit{{
			reconcilePackage + "/diff.go",
			`	return r.now.Sub(record.LastChanged()) > removalAge`,
			`	return r.now.Sub(record.LastChanged()) > 0`,
		}},
		by: test(reconcilePackage, "TestDiff_CorrectsOutdatedRecords"),
	},
	{
		name:  "css-removes-by-own-clock",
		bug:   "A clock that is ahead makes new records old: a reconciliation removes records that ECS does not show yet.",
		fixed: "0b06c37",
		edits: []edit{{
			reconcilePackage + "/cluster.go",
			`	return removal{now: r.ecs.now(), retention: r.StoppedTaskRetention}`,
			`	return removal{now: time.Now(), retention: r.StoppedTaskRetention}`,
		}},
		by: test(reconcilePackage, "TestReconciler_KeepsNewRecordsThatAWrongClockMakesOld"),
	},
	{
		name: "css-retention-ignored",
		bug:  "A stopped task is removed as soon as ECS forgets it.",
		edits: []edit{{
			reconcilePackage + "/diff.go",
			`		return r.now.Sub(at) >= r.retention`,
			`		return r.now.Sub(at) >= 0`,
		}},
		by: test(reconcilePackage, "TestReconciler_KeepsStoppedTasksForTheirRetention"),
	},
	{
		name:  "css-foreign-stopped-tasks-stay",
		bug:   "Stopped tasks of accounts and regions that nothing reconciles are never removed.",
		fixed: "0b08c37",
		edits: []edit{{
			reconcilePackage + "/maintainer.go",
			`snapshot.Reconciliations.Of(e.Entity.ClusterARN).FinishedAt) < m.AbandonedAfter {`,
			`snapshot.Reconciliations.Of(e.Entity.ClusterARN).FinishedAt) > 0 {`,
		}},
		by: test(reconcilePackage, "TestMaintainer_RemovesStoppedTasksThatNothingReconciles"),
	},
	{
		name: "css-maintainer-hasty",
		bug:  "After an outage, stopped tasks are removed before anything has reconciled their clusters again.",
		edits: []edit{{
			reconcilePackage + "/maintainer.go",
			`	if now.Sub(since) < m.AbandonedAfter {`,
			`	if now.Before(since) {`,
		}},
		by: test(reconcilePackage, "TestMaintainer_WatchesBeforeItRemoves"),
	},
	{
		name: "css-list-ends-early",
		bug:  "A list of ECS ends after its first page.",
		edits: []edit{{
			reconcilePackage + "/ecs.go",
			`	for p.HasMorePages() {`,
			`	for all == nil && p.HasMorePages() {`,
		}},
		by: test(reconcilePackage, "TestCollect_ReadsAllPages"),
	},
	{
		name: "css-equal-cluster-names",
		bug:  "Clusters with equal names in two accounts count as one, and one account removes the other's records.",
		edits: []edit{{
			reconcilePackage + "/cluster.go",
			`err == nil && clusterOf(e.Entity) == cluster {`,
			`err == nil && clusterOf(e.Entity) != "" {`,
		}},
		by: test(reconcilePackage, "TestStoredKeys_SeparatesClustersWithEqualNames"),
	},
	{
		name: "css-credentials-of-another-account",
		bug:  "After the credentials change to another account, its clusters are reconciled under the former one's lock.",
		edits: []edit{{
			reconcilePackage + "/region.go",
			`err == nil && !a.SameRegion(local) {`,
			`err == nil && a.Kind != local.Kind {`,
		}},
		by: test(reconcilePackage, "TestReconciler_FollowsACredentialChangeToAnotherAccount"),
	},
	{
		name:  "css-regions-share-lock",
		bug:   "The services of two regions that share etcd compete for one lock, and one is never ready.",
		fixed: "0b08c37",
		edits: []edit{{
			"cluster-state-service/state/metadata.go",
			`func (r Region) Lock() string { return LockPrefix + r.String() }`,
			`func (r Region) Lock() string { return LockPrefix + r.Account }`,
		}},
		by: test(clusterStateEndToEnd, "TestRegions_ShareOneEtcd"),
	},
	{
		name: "css-sources-overlap",
		bug:  "Two sources of one account and region are accepted.",
		edits: []edit{{
			"cluster-state-service/source/spec.go",
			`		if names[s.Name()] {`,
			`		if names[s.Name()] && s.Queue != "" {`,
		}},
		by: test("cluster-state-service/source", "TestValidate_RejectsSourcesThatOverlap"),
	},
}
