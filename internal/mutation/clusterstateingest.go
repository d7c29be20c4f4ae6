package main

const ingestPackage = "cluster-state-service/ingest"

// ingestMutations break the way of an event from the queue to the store.
var ingestMutations = []mutation{
	{
		name: "css-delete-before-commit",
		bug:  "Messages are deleted before their records are committed.",
		edits: []edit{{
			ingestPackage + "/consumer.go",
			"		result, err := c.Writer.Write(ctx, messages)\n		if err != nil {\n			return // ctx",
			"		c.delete(ctx, messages)\n		result, err := c.Writer.Write(ctx, messages)\n		if err != nil {\n			return // ctx",
		}},
		by: test(clusterStateEndToEnd, "TestIngest_KeepsUncommittedMessages"),
	},
	{
		name: "css-failed-commit-counts",
		bug:  "A batch that etcd did not commit counts as recorded.",
		edits: []edit{{
			ingestPackage + "/writer.go",
			"		if err == nil {\n			w.failures.Succeeded()",
			"		if true {\n			w.failures.Succeeded()",
		}},
		by: test(ingestPackage, "TestWriter_RetriesCommitWithGrowingDelays"),
	},
	{
		name: "css-malformed-deleted",
		bug:  "A malformed message is deleted, so it never reaches the dead-letter queue.",
		edits: []edit{{
			ingestPackage + "/writer.go",
			"			w.logMalformed(m, err)\n",
			"			w.logMalformed(m, err)\n			result.Done = append(result.Done, m)\n",
		}},
		by: test(clusterStateEndToEnd, "TestIngest_SkipsMalformedMessages"),
	},
	{
		name:  "css-malformed-logged-again",
		bug:   "Beyond 1,000 malformed messages, each redelivery is logged and counted again.",
		fixed: "0b08c37",
		edits: []edit{{ingestPackage + "/onceset.go", `const onceSetSize = 120_000`, `const onceSetSize = 1000`}},
		by:    test(ingestPackage, "TestOnceSet_RemembersABoundedNumber"),
	},
	{
		name: "css-batch-repeats-key",
		bug:  "One transaction contains two events of an entity, which etcd rejects for ever.",
		edits: []edit{{
			ingestPackage + "/writer.go",
			`			if keys[p.record.Key] {`,
			`			if false {`,
		}},
		by: test(ingestPackage, "TestNextBatch_TakesNoKeyTwice"),
	},
	{
		name:  "css-queue-outage-unnoticed",
		bug:   "A queue that was readable before may be unreadable for ever, and the service stays ready.",
		fixed: "0b08c37",
		edits: []edit{{
			ingestPackage + "/connectivity.go",
			`func (c *Connectivity) FailedFor(limit time.Duration) bool { return c.pendingFor() > limit }`,
			`func (c *Connectivity) FailedFor(time.Duration) bool { return false }`,
		}},
		by: test(ingestPackage, "TestConnectivity_ReportsAnUnreadableQueue"),
	},
	{
		name:  "css-long-poll-counts-as-failed",
		bug:   "The wait of a long poll that fails counts as time without the queue, so readiness is lost too early.",
		fixed: "232e19c",
		edits: []edit{{
			ingestPackage + "/connectivity.go",
			`		if first && !errors.Is(err, context.DeadlineExceeded) {`,
			`		if false && first && !errors.Is(err, context.DeadlineExceeded) {`,
		}},
		by: test(ingestPackage, "TestConnectivity_ReportsAnUnreadableQueue"),
	},
	{
		name:  "css-return-of-queue-waits",
		bug:   "After a failure, the next receive waits for messages: readiness returns up to 20 s after the queue.",
		fixed: "b5ac458",
		edits: []edit{{ingestPackage + "/consumer.go", `			wait = 0 //`, `			wait = longPoll //`}},
		by:    test(ingestPackage, "TestConsumer_DoesNotWaitForMessagesAfterAFailure"),
	},
	{
		name:  "css-verifies-by-own-clock",
		bug:   "A clock that is ahead makes new events old: the verifier drops events that ECS does not show yet.",
		fixed: "0b06c37",
		edits: []edit{{
			ingestPackage + "/verifyregion.go",
			`described.at.Sub(p.ChangedAt) > consistencyPeriod`,
			`time.Since(p.ChangedAt) > consistencyPeriod`,
		}},
		by: test(ingestPackage, "TestWriter_KeepsNewEventsThatAWrongClockMakesOld"),
	},
	{
		name:  "css-receives-back-off-for-seconds",
		bug:   "While SQS throttles half of the receives, each poller backs off for up to ten seconds.",
		fixed: "3ffa062",
		edits: []edit{{
			ingestPackage + "/receivebackoff.go",
			`longestReceiveDelay = 250 * time.Millisecond`,
			`longestReceiveDelay = 10 * time.Second`,
		}},
		by: test(ingestPackage, "TestReceiveBackoff_StaysShortWhileOtherPollersSucceed"),
	},
	{
		name: "css-outage-hammers-sqs",
		bug:  "During an outage of SQS, the pollers retry four times a second.",
		edits: []edit{{
			ingestPackage + "/receivebackoff.go",
			`longestOutageDelay  = 5 * time.Second`,
			`longestOutageDelay  = 250 * time.Millisecond`,
		}},
		by: test(ingestPackage, "TestReceiveBackoff_GrowsWhileNoPollerSucceeds"),
	},
	{
		name:  "css-foreign-source",
		bug:   "An event of another source than ECS is stored.",
		fixed: "0b08c37",
		edits: []edit{{ingestPackage + "/decode.go", `	if source != ecsSource {`, `	if false && source != ecsSource {`}},
		by:    test(ingestPackage, "TestDecode_DistinguishesUnsupportedFromMalformed"),
	},
	{
		name: "css-sns-not-unwrapped",
		bug:  "An event in a notification of SNS counts as malformed.",
		edits: []edit{{
			ingestPackage + "/decode.go",
			`		if inner := snsMessage(body); inner != nil {`,
			`		if inner := snsMessage(body); false {`,
		}},
		by: test(ingestPackage, "TestDecode_UnwrapsNotificationsOfSNS"),
	},
	{
		name:  "css-old-event-creates-task",
		bug:   "An old event of an unknown task creates a live record, although ECS does not know the task.",
		fixed: "33d6851",
		edits: []edit{{
			ingestPackage + "/verify.go",
			`	if v.Describer == nil || !e.Live || e.ChangedAt.IsZero() {`,
			`	if true {`,
		}},
		by: test(ingestPackage, "TestWriter_VerifiesOldEventsOfUnknownEntities"),
	},
	{
		name: "css-unverified-event-dropped",
		bug:  "An old event is dropped if ECS does not answer.",
		edits: []edit{{
			ingestPackage + "/verifyregion.go",
			"		v.retryAt = time.Now().Add(v.retry.Next())\n		finishAll(events, outcomeDeferred)",
			"		v.retryAt = time.Now().Add(v.retry.Next())\n		finishAll(events, outcomeOutdated)",
		}},
		by: test(ingestPackage, "TestWriter_DefersOldEventsWhileECSFails"),
	},
	{
		name: "css-verification-of-accounts-in-turn",
		bug:  "The old events of an account wait until another account's ECS has answered.",
		edits: []edit{{
			ingestPackage + "/verify.go",
			`		groups[state.RegionOf(cluster)] = append(groups[state.RegionOf(cluster)], p)`,
			"		_ = cluster\n		groups[state.Region{}] = append(groups[state.Region{}], p)",
		}},
		by: test(ingestPackage, "TestVerifier_AnAccountDoesNotWaitForAnother"),
	},
	{
		name:  "css-exit-code-of-windows",
		bug:   "An exit code above 2^31-1 makes the event malformed, so the task stays RUNNING.",
		fixed: "0b08c37",
		edits: []edit{{
			"cluster-state-service/state/task.go",
			"	if _, err := t.Key(); err != nil {\n		return Task{}, err\n	}\n",
			`	for _, c := range t.Containers {
		if c.ExitCode != nil && *c.ExitCode > 1<<31-1 {
			return Task{}, fmt.Errorf("exit code %d", *c.ExitCode)
		}
	}
	if _, err := t.Key(); err != nil {
		return Task{}, err
	}
`,
		}},
		by: test("cluster-state-service/state", "TestDecodeTask_AcceptsExitCodesBeyondInt32"),
	},
	{
		name: "css-poller-ends",
		bug:  "A poller ends when SQS rejects a receive.",
		edits: []edit{{
			ingestPackage + "/consumer.go",
			"			backoff.Sleep(ctx, c.backoff.failed(failures))\n			continue",
			"			backoff.Sleep(ctx, c.backoff.failed(failures))\n			return",
		}},
		by: test(clusterStateEndToEnd, "TestReady_FollowsTheQueue"),
	},
	{
		name:  "css-ready-without-queue",
		bug:   "The service is ready although it cannot read its queue.",
		fixed: "0b08c37",
		edits: []edit{{"cluster-state-service/api/ready.go", "	r.addQueues(a.queueProblems())\n", ""}},
		by:    test(clusterStateEndToEnd, "TestReady_ReportsAQueueThatDoesNotExist"),
	},
}
