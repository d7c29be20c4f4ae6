package main

// schedulerMutations break the promises of daemon-scheduler.
var schedulerMutations = []mutation{
	{
		name:  "ds-duplicates-without-ecs",
		bug:   "A replayed event of a dead task stops the daemon beside it as a duplicate.",
		fixed: "bf76a13",
		edits: []edit{{
			"daemon-scheduler/engine/verifykept.go",
			`return withheld[a.Instance] && len(a.Kept) > 0`,
			`return false`,
		}},
		by: test("daemon-scheduler/engine", "TestVerifyKept_WithholdsStopsUntilECSConfirmsWhatRemains"),
	},
	{
		name:  "ds-order-by-clocks",
		bug:   "Clocks decide which deployment is the newest, so a replica with a slow clock undoes a rollout.",
		fixed: "94587b5",
		edits: []edit{{
			"daemon-scheduler/environment/deployment.go",
			"			cmp.Compare(b.Sequence, a.Sequence),\n",
			"",
		}},
		by: test("daemon-scheduler/environment", "TestHistory_FollowsSequenceWhenClocksStepBack"),
	},
	{
		name:  "ds-fence-without-wall-clock",
		fixed: "79c83be",
		bug:   "After a suspend, the monotonic clock alone permits a StartTask whose announcement has expired.",
		edits: []edit{{
			"daemon-scheduler/engine/fence.go",
			`return m.monotonic.Before(deadline.monotonic) && m.wall.Before(deadline.wall)`,
			`return m.monotonic.Before(deadline.monotonic)`,
		}},
		by: test("daemon-scheduler/engine", "TestFence_DemandsThatBothClocksAgree"),
	},
	{
		name: "ds-starttask-retried",
		bug:  "The SDK retries a StartTask without a response, which starts a second task.",
		edits: []edit{{
			"daemon-scheduler/ecsapi/client.go",
			`c.ecs.StartTask(traced, input, awsconfig.NoRetry, option)`,
			`c.ecs.StartTask(traced, input, option)`,
		}},
		by: test("daemon-scheduler/e2e", "TestStart_LostResponsesCauseNoDuplicates"),
	},
}
