package main

// streamMutations break the streams of changes.
var streamMutations = []mutation{
	{
		name: "css-stream-resumes-late",
		bug:  "A resumed stream begins with the change after the one that the client requested.",
		edits: []edit{{
			cachePackage + "/subscription.go",
			`change.Key.Kind == s.kind && change.Revision >= s.from`,
			`change.Key.Kind == s.kind && change.Revision > s.from`,
		}},
		by: test(cachePackage, "TestWatch_StartsAtRevision"),
	},
	{
		name:  "css-stream-buffered-by-nginx",
		bug:   "Behind the defaults of nginx, streams deliver nothing.",
		fixed: "7a3c173",
		edits: []edit{{"internal/httpstream/httpstream.go", `	w.Header().Set("X-Accel-Buffering", "no")`, ``}},
		by:    test("internal/httpstream", "TestServe_SendsHeadersAndLines"),
	},
}
