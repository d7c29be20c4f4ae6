package main

const storePackage = "cluster-state-service/store"

// storeMutations break the guarded writes.
var storeMutations = []mutation{
	{
		name: "css-any-version",
		bug:  "The store replaces a record by an older one.",
		edits: []edit{{
			storePackage + "/guardedwrite.go",
			`return err != nil || version < w.Version`,
			`return err != nil || version != w.Version`,
		}, {
			storePackage + "/guardedwrite.go",
			`if stored.Revision == 0 || stored.Version < r.Version {`,
			`if true {`,
		}},
		by: test(storePackage, "TestRecord_KeepsNewestVersion"),
	},
	{
		name: "css-write-without-guard",
		bug:  "A write relies on the cache alone, so an outdated cache replaces a newer record.",
		edits: []edit{{
			storePackage + "/transaction.go",
			`clientv3.Compare(clientv3.ModRevision(w.key), "=", w.revision)`,
			`clientv3.Compare(clientv3.ModRevision(w.key), ">", -1)`,
		}},
		by: test(storePackage, "TestRecord_KeepsNewestVersionWithAnyOutdatedCache"),
	},
	{
		name:  "css-race-loses-batch-time",
		bug:   "A batch that lost several races rereads one record a transaction, which takes for ever if etcd is far away.",
		fixed: "841feeb",
		edits: []edit{{
			storePackage + "/guardedwrite.go",
			"			w.revision = stored[0].ModRevision\n",
			"			if !reread {\n				w.revision, reread = stored[0].ModRevision, true\n			}\n",
		}, {
			storePackage + "/guardedwrite.go",
			"	var remaining []write\n	for",
			"	var remaining []write\n	reread := false\n	for",
		}},
		by: test(storePackage, "TestRecord_RereadsAllLosersInOneTransaction"),
	},
	{
		name: "css-deleted-reappears",
		bug:  "A late event creates the record of a removed entity again.",
		edits: []edit{{
			storePackage + "/transaction.go",
			`clientv3.Compare(clientv3.CreateRevision(tombstone), "=", 0)`,
			`clientv3.Compare(clientv3.CreateRevision(tombstone), ">", -1)`,
		}},
		by: test(storePackage, "TestRecord_DropsLateEventsOfRemovedEntities"),
	},
	{
		name: "css-removal-without-tombstone",
		bug:  "The reconciler removes a record and writes its tombstone under another key.",
		edits: []edit{{
			storePackage + "/corrections.go",
			`clientv3.OpDelete(key), clientv3.OpPut(tombstone, newTombstone(time.Now())))`,
			`clientv3.OpDelete(key), clientv3.OpPut(tombstone+"/", newTombstone(time.Now())))`,
		}},
		by: test(storePackage, "TestRecord_DropsLateEventsOfRemovedEntities"),
	},
	{
		name:  "css-tombstone-without-expiry",
		bug:   "A tombstone does not hold its expiry, so each start of etcd extends its life.",
		fixed: "0b08c37",
		edits: []edit{{
			storePackage + "/tombstones.go",
			`json.Marshal(tombstone{now.Add(tombstoneLife).UTC().Truncate(time.Second)})`,
			`json.Marshal(tombstone{})`,
		}},
		by: test(storePackage, "TestTombstone_ExpiresAfterTwoDaysWhateverEtcdDoes"),
	},
	{
		name: "css-tombstone-pruned-early",
		bug:  "A tombstone without an expiry is pruned.",
		edits: []edit{{
			storePackage + "/tombstones.go",
			`json.Unmarshal(kv.Value, &held) == nil && !held.ExpiresAt.IsZero() && `,
			`json.Unmarshal(kv.Value, &held) == nil && `,
		}},
		by: test(storePackage, "TestPruneTombstones_KeepsThoseWithoutExpiry"),
	},
	{
		name: "css-removal-of-changed-record",
		bug:  "The reconciler removes a record that an event changed meanwhile.",
		edits: []edit{{
			storePackage + "/corrections.go",
			"		case c.IsRemoval(): // it presumes",
			"		case c.IsRemoval():\n			c.Revision = revision\n			remaining = append(remaining, c) // it presumes",
		}},
		by: test(storePackage, "TestApplyCorrections_SkipsChangedRecords"),
	},
	{
		name: "css-correction-without-lock",
		bug:  "A replica that lost the lock corrects records.",
		edits: []edit{{
			storePackage + "/corrections.go",
			`guards := []clientv3.Cmp{guard(token)}`,
			`guards := []clientv3.Cmp{}`,
		}},
		by: test(storePackage, "TestApplyCorrections_FailsWithoutLock"),
	},
	{
		name: "css-late-event-stays",
		bug:  "A late event that overtook a correction keeps an outdated record in place.",
		edits: []edit{{
			storePackage + "/corrections.go",
			`		case revision == 0 || c.Supersedes(stored):`,
			`		case revision == 0 || c.Supersedes(stored) && len(stored) == 0:`,
		}},
		by: test(storePackage, "TestApplyCorrections_ReplaceRecordsOfLateEvents"),
	},
	{
		name: "css-equal-version-ignored",
		bug:  "Fields that ECS changes without a new version, such as attributes, are never corrected.",
		edits: []edit{{
			"cluster-state-service/state/correction.go",
			`version(newer) > version(older) || version(newer) == version(older) && !newer.Equivalent(older)`,
			`version(newer) > version(older)`,
		}},
		by: test(storePackage, "TestSuperseding_ReturnsCorrectionsOfOlderAndOtherRecords"),
	},
	{
		name: "css-compaction-too-far",
		bug:  "Compaction removes the history that resumed streams need.",
		edits: []edit{{
			storePackage + "/compactor.go",
			`return samples[last].revision, samples[last:]`,
			`return newest.revision, samples[last:]`,
		}},
		by: test(storePackage, "TestCompactionTarget_KeepsRetention"),
	},
	{
		name: "css-health-lost",
		bug:  "A state change event erases the health of an instance, which the event does not contain.",
		edits: []edit{{
			"cluster-state-service/state/health.go",
			`	if replaced.ChangedAt == "" && replaced.OverallStatus != "IMPAIRED" {`,
			`	if true {`,
		}},
		by: test(storePackage, "TestRecord_MergesHealthChanges", "TestRecord_KeepsNewerHealthOfDescribe"),
	},
	{
		name: "css-checkpoint-of-lost-shard",
		bug:  "A replica that lost a Kinesis shard moves its checkpoint.",
		edits: []edit{{
			storePackage + "/kinesisshards.go",
			`m.client.Txn(ctx).If(guard(token)).Then(put).Commit()`,
			`m.client.Txn(ctx).Then(put).Commit()`,
		}},
		by: test(storePackage, "TestGroupMember_SavesNothingAfterItsLeaseExpired"),
	},
}
