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
		name: "css-stream-without-replay",
		bug:  "Changes that are older than the history of a replica are not replayed.",
		edits: []edit{{
			cachePackage + "/replay.go",
			`	for s.from > 0 && s.from <= s.floor {`,
			`	for s.from > s.floor {`,
		}},
		by: test(cachePackage, "TestReplay_ReturnsLongHistoryInOrder"),
	},
	{
		name: "css-stream-repeats",
		bug:  "A stream also sends changes before the version that the client requested.",
		edits: []edit{{
			cachePackage + "/subscription.go",
			`change.Key.Kind == s.kind && change.Revision >= s.from`,
			`change.Key.Kind == s.kind`,
		}},
		by: test(cachePackage, "TestWatch_StartsAtRevision"),
	},
	{
		name: "css-compacted-stream-accepted",
		bug:  "A stream from a compacted version is accepted, and its first changes are missing.",
		edits: []edit{{
			cachePackage + "/subscription.go",
			`	case errors.Is(err, rpctypes.ErrCompacted), errors.Is(err, rpctypes.ErrFutureRev):`,
			"	case errors.Is(err, rpctypes.ErrCompacted):\n	case errors.Is(err, rpctypes.ErrFutureRev):",
		}},
		by: test(cachePackage, "TestWatch_RejectsRevisionOutOfRange"),
	},
	{
		name:  "css-stream-before-load",
		bug:   "A stream that starts before the cache is loaded misses the changes until then.",
		fixed: "69503fe",
		edits: []edit{{
			cachePackage + "/subscription.go",
			"	if err := c.awaitLoaded(ctx); err != nil { // the load would end the subscription\n		return nil, err\n	}\n",
			"",
		}},
		by: test(cachePackage, "TestWatch_StartsWhenTheCacheIsLoaded"),
	},
	{
		name: "css-heartbeat-without-etcd",
		bug:  "Heartbeats confirm that no change is missing although etcd does not respond.",
		edits: []edit{{
			cachePackage + "/subscription.go",
			`			due = err == nil`,
			`			due = err == nil || true`,
		}},
		by: test(cachePackage, "TestHeartbeat_StopsWhileEtcdIsUnavailable"),
	},
	{
		name:  "css-stream-buffered-by-nginx",
		bug:   "Behind the defaults of nginx, streams deliver nothing.",
		fixed: "7a3c173",
		edits: []edit{{"internal/httpstream/httpstream.go", `	w.Header().Set("X-Accel-Buffering", "no")`, ``}},
		by:    test("internal/httpstream", "TestServe_SendsHeadersAndLines"),
	},
	{
		name: "css-slow-client-delays-others",
		bug:  "A client that does not read its stream delays all other streams.",
		edits: []edit{{
			"internal/httpstream/httpstream.go",
			`send: func(p []byte) error { return httpserver.WriteAndFlush(w, p) }}`,
			`send: func(p []byte) error {
		sending.Lock()
		defer sending.Unlock()
		return httpserver.WriteAndFlush(w, p)
	}}`,
		}, {
			"internal/httpstream/httpstream.go",
			"\nconst maxBuffered = 64 << 10\n",
			"\nconst maxBuffered = 64 << 10\n\nvar sending sync.Mutex\n",
		}},
		by: test("internal/httpstream", "TestServe_AStalledClientDelaysNoOther"),
	},
	{
		name: "css-slow-stream-kept",
		bug:  "A stream whose client reads too slowly skips changes in place of ending.",
		edits: []edit{{
			"internal/broadcast/history.go",
			`	if s.at.number < s.history.oldest.Load() {`,
			`	if false {`,
		}},
		by: test(cachePackage, "TestWatch_TerminatesSlowSubscriber"),
	},
	{
		name: "css-stream-survives-reload",
		bug:  "A stream stays open when the cache lists etcd again, and its client misses removals.",
		edits: []edit{{
			cachePackage + "/cache.go",
			"	c.history.Close(errInterrupted)\n	c.history = c.newHistory(s.Revision)\n",
			"",
		}},
		by: test(cachePackage, "TestWatch_EndsWhenCacheReloads"),
	},
}
