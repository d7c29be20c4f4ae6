package main

// startMutations break starts of tasks.
var startMutations = []mutation{
	{
		name: "ds-starttask-retried",
		bug:  "The SDK retries a StartTask without a response, which starts a second task.",
		edits: []edit{{
			"daemon-scheduler/ecsapi/client.go",
			`c.ecs.StartTask(traced, input, awsconfig.NoRetry, option)`,
			`c.ecs.StartTask(traced, input, option)`,
		}},
		by: test(schedulerEndToEnd, "TestStart_LostResponsesCauseNoDuplicates"),
	},
	{
		name:  "ds-caller-errors-fail-instances",
		bug:   "Expired credentials count as a failed start of each instance and trip the circuit breaker.",
		fixed: "98cffde",
		edits: []edit{{
			enginePackage + "/startcall.go",
			"	case outcome.Scope == ecserrors.ScopeCaller:\n",
			"	case outcome.Scope == ecserrors.ScopeCaller && outcome.Code == \"\":\n",
		}},
		by: test(enginePackage, "TestStartTask_RestoresTheOtherHalfIfTheCallerIsRefused"),
	},
	{
		name:  "ds-caller-errors-unknown",
		bug:   "An expired token is an error of the instance, not of the caller.",
		fixed: "98cffde",
		edits: []edit{{
			"internal/ecserrors/outcome.go",
			`case !sent, outcome.Throttled(), outcome.RefusesCaller():`,
			`case !sent, outcome.Throttled():`,
		}},
		by: test("daemon-scheduler/ecsapi", "TestStartTask_DistinguishesErrorsAboutTheCallerFromThoseAboutTheDeployment"),
	},
	{
		name:  "ds-refused-deployment-stops-more",
		bug:   "ECS refuses every start of a deployment, and Blox stops more daemons for it.",
		fixed: "98cffde",
		edits: []edit{{
			enginePackage + "/startgate.go",
			`case a.Kind == planner.Start, gate.open, a.Task == gate.trial,`,
			`case a.Kind == planner.Start, gate.open, true, a.Task == gate.trial,`,
		}},
		by: test(enginePackage, "TestPermit_StopsOneTaskUntilECSAcceptsAStart"),
	},
	{
		name:  "ds-skewed-retry-time",
		bug:   "A former leader whose clock was ahead delays the next start by as much.",
		fixed: "c841d7d",
		edits: []edit{{
			enginePackage + "/clockskew.go",
			`lateRetry := launch.NextAttemptAt.After(now.Add(longestLaunchDelay))`,
			`lateRetry := lateEnd && launch.NextAttemptAt.After(now.Add(longestLaunchDelay))`,
		}},
		by: test(enginePackage, "TestCorrectSkew_CorrectsEachTimeByItself"),
	},
	{
		name:  "ds-start-on-draining",
		bug:   "A start that waited for the API budget hits an instance that has begun to drain.",
		fixed: "22a633f",
		edits: []edit{{
			enginePackage + "/start.go",
			`return found && i.CanRunTasks() && `,
			`return found && i.ARN != "" && `,
		}},
		by: test(enginePackage, "TestStartTask_LeavesOutInstancesThatNoLongerQualify"),
	},
	{
		name:  "ds-bad-instance-starves-others",
		bug:   "One instance that ECS refuses keeps nine others of its call without a task.",
		fixed: "256f988",
		edits: []edit{{
			enginePackage + "/startcall.go",
			`outcome.Scope == ecserrors.ScopeInstance && len(announced) > 1:`,
			`outcome.Scope == ecserrors.ScopeInstance && len(announced) > 10:`,
		}},
		by: test(enginePackage, "TestStartTask_StartsTheNineInstancesBesideABadOne"),
	},
	{
		name:  "ds-task-and-failure",
		bug:   "A task and a failure for one instance in one response leave its launch failed.",
		fixed: "70f4ac3",
		edits: []edit{{
			enginePackage + "/startcall.go",
			`if task, ok := tasks[l.Instance]; ok {
			known = append(known, r.started(l, aws.ToString(task.TaskArn)))
		} else if failure, ok := failures[l.Instance]; ok {
			known = append(known, r.startFailed(l, aws.ToString(failure.Reason), aws.ToString(failure.Detail)))
		}`,
			`if failure, ok := failures[l.Instance]; ok {
			known = append(known, r.startFailed(l, aws.ToString(failure.Reason), aws.ToString(failure.Detail)))
		} else if task, ok := tasks[l.Instance]; ok {
			known = append(known, r.started(l, aws.ToString(task.TaskArn)))
		}`,
		}},
		by: test(enginePackage, "TestStartTask_FoldsTheAnswerByInstance"),
	},
	{
		name: "ds-listed-task-forgotten",
		bug:  "A launch fails whose task ECS lists but does not describe yet, and a second task is started.",
		edits: []edit{{
			enginePackage + "/confirm.go",
			`undecided++ // the launch`,
			`break // the launch`,
		}},
		by: test(enginePackage, "TestConfirm_LeavesALaunchOpenWhileItsTaskIsListedButNotDescribed"),
	},
	{
		name: "ds-young-task-phantom",
		bug:  "A task that ECS does not show yet is a phantom, and its instance gets a second task.",
		edits: []edit{{
			enginePackage + "/phantoms.go",
			`if missing[t.ARN] && !r.isYoung(t, r.ECS.Now()) {`,
			`if missing[t.ARN] {`,
		}},
		by: test(enginePackage, "TestVerifyKept_WithholdsStopsUntilECSConfirmsWhatRemains"),
	},
	{
		name:  "ds-phantom-by-own-clock",
		bug:   "A clock that is ahead makes a new task old: if ECS does not show it yet, it counts as a phantom.",
		fixed: "634f82e",
		edits: []edit{{
			enginePackage + "/phantoms.go",
			`if missing[t.ARN] && !r.isYoung(t, r.ECS.Now()) {`,
			`if missing[t.ARN] && !r.isYoung(t, time.Now()) {`,
		}},
		by: test(enginePackage, "TestVerifyCounted_TakesNoNewTaskForAPhantomIfTheClockIsWrong"),
	},
	{
		name: "ds-start-without-fence",
		bug:  "A deposed leader starts tasks after its lease has expired.",
		edits: []edit{{
			enginePackage + "/startcall.go",
			"if err := checkFence(ctx, c.leader.Term, c.notAfter); err != nil {",
			"if err := ctx.Err(); err != nil {",
		}},
		by: test(enginePackage, "TestStartTask_SendsNothingAfterTheLeaseExpired"),
	},
}
