package main

// clusterStateMutations break the promises of cluster-state-service.
var clusterStateMutations = []mutation{
	{
		name: "css-any-version",
		bug:  "The store replaces a record by an older one.",
		edits: []edit{{
			"cluster-state-service/store/guardedwrite.go",
			`return err != nil || version < w.Version`,
			`return err != nil || version != w.Version`,
		}, {
			"cluster-state-service/store/guardedwrite.go",
			`if stored.Revision == 0 || stored.Version < r.Version {`,
			`if true {`,
		}},
		by: test("cluster-state-service/store", "TestRecord_KeepsNewestVersion"),
	},
}
