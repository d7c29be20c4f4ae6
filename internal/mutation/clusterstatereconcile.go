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
		name: "css-equal-cluster-names",
		bug:  "Clusters with equal names in two accounts count as one, and one account removes the other's records.",
		edits: []edit{{
			reconcilePackage + "/cluster.go",
			`err == nil && clusterOf(e.Entity) == cluster {`,
			`err == nil && clusterOf(e.Entity) != "" {`,
		}},
		by: test(reconcilePackage, "TestStoredKeys_SeparatesClustersWithEqualNames"),
	},
}
