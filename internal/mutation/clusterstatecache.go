package main

const cachePackage = "cluster-state-service/cache"

// cacheMutations break the cache and its reads.
var cacheMutations = []mutation{
	{
		name:  "css-watch-order-unchecked",
		bug:   "The cache trusts a watch whose progress notification precedes an event, and streams lose changes silently.",
		fixed: "0b08c37",
		edits: []edit{{
			cachePackage + "/loader.go",
			`switch err := cmp.Or(response.Err(), order.Check(response)); {`,
			`switch err := cmp.Or(response.Err(), order.Check(clientv3.WatchResponse{})); {`,
		}},
		by: test(cachePackage, "TestCache_ReloadsWhenProgressPrecedesEvents"),
	},
	{
		name:  "css-progress-of-affected-etcd",
		bug:   "Blox requests progress notifications of an etcd that sends them before their events.",
		fixed: "0b08c37",
		edits: []edit{{
			"internal/etcd/progress.go",
			`	return semver.Compare(version, "v3.4.25") >= 0 &&`,
			`	return semver.Compare(version, "v3.4.0") >= 0 &&`,
		}},
		by: test("internal/etcd", "TestProgressIsOrdered_ByVersion"),
	},
	{
		name: "css-revision-moves-back",
		bug:  "The cache keeps its content when etcd's revision moves back.",
		edits: []edit{{
			cachePackage + "/linearizable.go",
			`if before != nil && revision < before.Revision {`,
			`if before != nil && revision < 0 {`,
		}},
		by: test(cachePackage, "TestCache_ReloadsWhenEtcdMovesBack"),
	},
	{
		name:  "css-wiped-etcd-unnoticed",
		bug:   "A wiped etcd counts as the same if its revision has overtaken the former one.",
		fixed: "3eac452",
		edits: []edit{{
			"internal/etcd/monitor.go",
			`(before.dataID == "" || p.dataID == before.dataID)`,
			`(before.dataID == "" || true)`,
		}},
		by: test("internal/etcd", "TestMonitor_DetectsAWipedEtcd", "TestPosition_FollowsOnlyTheSameHistory"),
	},
	{
		name: "css-read-without-etcd",
		bug:  "Reads return the content of the cache without reading etcd's revision.",
		edits: []edit{{
			cachePackage + "/linearizable.go",
			"	if err != nil {\n		return nil, waitError(ctx, err)\n	}\n	s := c.snapshot.Load()\n	if !c.hasReached(s, revision) {",
			"	if err != nil {\n		return nil, waitError(ctx, err)\n	}\n	s := c.snapshot.Load()\n	if !c.hasReached(s, 1) {",
		}},
		by: test(cachePackage, "TestWaitCurrent_SeesEveryFinishedWrite"),
	},
	{
		name: "css-late-reader-joins-running-read",
		bug:  "A reader shares a read of etcd that began before it, and misses a write that finished in between.",
		edits: []edit{{
			cachePackage + "/revisionreads.go",
			"		current := q.dequeue()\n		if current == nil {",
			"		q.mu.Lock()\n		current := q.queued\n		q.mu.Unlock()\n		if current == nil {",
		}, {
			cachePackage + "/revisionreads.go",
			"		current.complete(revision, err)\n",
			"		q.dequeue().complete(revision, err)\n",
		}},
		by: test(cachePackage, "TestRevisionReads_GiveLateCallersTheirOwnRead"),
	},
	{
		name: "css-stale-read-beyond-bound",
		bug:  "A read with maxStaleness returns a state of any age.",
		edits: []edit{{
			cachePackage + "/linearizable.go",
			`if s, at := c.knownCurrent(); s != nil && time.Since(at) <= maxStaleness {`,
			`if s, _ := c.knownCurrent(); s != nil {`,
		}},
		by: test(cachePackage, "TestRecent_ReadsFromEtcdOnlyForANewerState"),
	},
	{
		name: "css-foreign-revisions-block-reads",
		bug:  "After a write of another application to the same etcd, every read times out.",
		edits: []edit{{
			cachePackage + "/linearizable.go",
			"			_ = c.progress.Announce(dedicatedStream(ctx), c.watchClient, wanted)\n",
			"",
		}},
		by: test(cachePackage, "TestWaitCurrent_PassesForeignRevisions"),
	},
	{
		name: "css-snapshot-changes",
		bug:  "A snapshot changes while a request reads it.",
		edits: []edit{{
			cachePackage + "/loader.go",
			`Tasks:    old.Tasks.Clone(), Instances: old.Instances.Clone(),`,
			`Tasks:    old.Tasks, Instances: old.Instances,`,
		}},
		by: test(cachePackage, "TestSnapshot_IsImmutable"),
	},
	{
		name: "css-audit-ignores-revisions",
		bug:  "The audit of the cache compares keys alone.",
		edits: []edit{{
			cachePackage + "/audit.go",
			`				if held.Revision != kv.ModRevision {`,
			`				if false {`,
		}},
		by: test(cachePackage, "TestAudit_ReloadsACacheThatDiffers"),
	},
	{
		name:  "css-unreconciled-cluster-served",
		bug:   "A new cluster is served as empty until its first reconciliation.",
		fixed: "0b08c37",
		edits: []edit{{
			cachePackage + "/completeness.go",
			`		if filter.MatchesCluster(p.ARN) {`,
			`		if filter.MatchesCluster(p.ARN) && p.Error != "" {`,
		}},
		by: test(cachePackage, "TestReconciliations_ANewClusterWaitsForItsFirstReconciliation"),
	},
	{
		name:  "css-accounts-share-readiness",
		bug:   "An account that fails makes the lists of all other accounts unavailable.",
		fixed: "839fb68",
		edits: []edit{{
			cachePackage + "/completeness.go",
			`		case s.Awaited && !known.failed():`,
			`		case s.Awaited:`,
		}},
		by: test(cachePackage, "TestReconciliations_AnAccountThatFailsHarmsNoOther"),
	},
	{
		name:  "css-audit-repairs-nothing",
		bug:   "The audit of the cache reports differences and repairs none.",
		edits: []edit{{cachePackage + "/audit.go", "	c.reload()\n", ""}},
		by:    test(cachePackage, "TestAudit_ReloadsACacheThatDiffers"),
	},
}
