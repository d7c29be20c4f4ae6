package main

import "slices"

// schedulerMutations break the promises of daemon-scheduler.
var schedulerMutations = slices.Concat(
	plannerMutations, startMutations, engineMutations, recordMutations, schedulerRunMutations,
)

const (
	enginePackage     = "daemon-scheduler/engine"
	schedulerEndToEnd = "daemon-scheduler/e2e"
)

// engineMutations break the calls of ECS.
var engineMutations = []mutation{
	{
		name:  "ds-duplicates-without-ecs",
		bug:   "A replayed event of a dead task stops the daemon beside it as a duplicate.",
		fixed: "bf76a13",
		edits: []edit{{
			enginePackage + "/verifykept.go",
			`return withheld[a.Instance] && len(a.Kept) > 0`,
			`return false`,
		}},
		by: test(enginePackage, "TestVerifyKept_WithholdsStopsUntilECSConfirmsWhatRemains"),
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
			enginePackage + "/fence.go",
			`return m.monotonic.Before(deadline.monotonic) && m.wall.Before(deadline.wall)`,
			`return m.monotonic.Before(deadline.monotonic)`,
		}},
		by: test(enginePackage, "TestFence_DemandsThatBothClocksAgree"),
	},
	{
		name:  "ds-rollback-to-inactive",
		bug:   "An automatic rollback returns to an INACTIVE task definition, stops daemons and never recovers.",
		fixed: "add9880",
		edits: []edit{{
			enginePackage + "/rollback.go",
			`case err == nil:
			return func(taskDefinition string) bool { return taskDefinition == definition }`,
			`case err == nil, errors.Is(err, environment.ErrTaskDefinitionInactive):
			return func(taskDefinition string) bool { return taskDefinition == definition }`,
		}},
		by: test(enginePackage, "TestRollback_PausesIfTheTargetIsInactive"),
	},
	{
		name:  "ds-full-etcd-stops",
		bug:   "With a full etcd, the rollout stops daemons that it cannot replace.",
		fixed: "f36fd5d",
		edits: []edit{{
			enginePackage + "/stop.go",
			`stops = slices.DeleteFunc(slices.Clone(stops), r.needsRecord)`,
			`stops = slices.Clone(stops)`,
		}},
		by: test(enginePackage, "TestStop_StopsNothingForTheRolloutWhileEtcdIsFull"),
	},
	{
		name:  "ds-replacement-not-recorded",
		bug:   "A leader that dies after StopTask leaves an instance whose loss its successor does not count.",
		fixed: "f36fd5d",
		edits: []edit{{
			enginePackage + "/stop.go",
			`unrecorded := r.recordReplacements(ctx, stops)`,
			`var unrecorded error`,
		}},
		by: test(enginePackage, "TestStop_RecordsTheReplacementFirst"),
	},
	{
		name: "ds-fence-missing",
		bug:  "A deposed leader still stops tasks after its lease has expired.",
		edits: []edit{{
			enginePackage + "/fence.go",
			`case leased && !now.before(lease):`,
			`case leased && !now.before(lease) && false:`,
		}},
		by: test(enginePackage, "TestStop_SendsNothingAfterTheLeaseExpired"),
	},
	{
		name:  "ds-refused-stop-hidden",
		bug:   "A refused StopTask shows nowhere but in the log.",
		fixed: "147075f",
		edits: []edit{{
			enginePackage + "/stop.go",
			`r.conditions.set(r.env.Name, environment.ConditionTaskStopFailed, outcome)`,
			`r.conditions.clear(r.env.Name, environment.ConditionTaskStopFailed)`,
		}},
		by: test(enginePackage, "TestConditions_ShowARejectedStop"),
	},
	{
		name:  "ds-unanswered-stop-waits",
		bug:   "A StopTask that ECS did not answer is repeated after a minute.",
		fixed: "cc23370",
		edits: []edit{{
			enginePackage + "/stoprequests.go",
			`if outcome == ecserrors.Unknown {`,
			`if outcome == ecserrors.Unknown && task == "" {`,
		}},
		by: test(enginePackage, "TestStop_IsRepeatedAfterSecondsIfItWasNotAnswered"),
	},
	{
		name:  "ds-phantom-extends-budget",
		bug:   "A phantom task counts as available, so the rollout stops one task too many.",
		fixed: "0b08c37",
		edits: []edit{{
			enginePackage + "/verifycounted.go",
			`return slices.DeleteFunc(slices.Clone(stops), planner.Action.MakesRoom), err`,
			`return stops, err`,
		}},
		by: test(enginePackage, "TestVerifyCounted_WithholdsRoomUntilECSConfirmsTheTasksThatTheRolloutCounts"),
	},
	{
		name:  "ds-drain-misses-new-task",
		bug:   "A drain stops daemons although ECS has just started a task on the instance.",
		fixed: "0b08c37",
		edits: []edit{{
			enginePackage + "/verifydrained.go",
			`if !planned[arn] {`,
			`if !planned[arn] && arn == "" {`,
		}},
		by: test(enginePackage, "TestVerifyDrained_WithholdsStopsWhileECSListsUnknownTasks"),
	},
	{
		name:  "ds-recovered-task-stopped",
		bug:   "A task that has become HEALTHY again is stopped as UNHEALTHY.",
		fixed: "0b08c37",
		edits: []edit{{
			enginePackage + "/verifyunhealthy.go",
			`unhealthy[arn] = health.Status == environment.HealthUnhealthy`,
			`unhealthy[arn] = true`,
		}},
		by: test(enginePackage, "TestVerifyUnhealthy_WithholdsStopsUntilECSReportsTheTaskUnhealthy"),
	},
	{
		name: "ds-plan-outlives-change",
		bug:  "The leader executes a plan after a client has changed the environment.",
		edits: []edit{{
			enginePackage + "/reconcile.go",
			`return err != nil || env.Incarnation != r.env.Incarnation || env.StoredVersion != r.revision`,
			`return false && err != nil && env.Name == ""`,
		}},
		by: test(enginePackage, "TestReconcile_ExecutesNoMoreOfAPlanOnceItsEnvironmentChanged"),
	},
	{
		name: "ds-readiness-without-fence",
		bug:  "A deposed leader sets and removes readiness attributes after its lease has expired.",
		edits: []edit{{
			enginePackage + "/readiness.go",
			"if err := checkFence(ctx, b.leader.Term, b.notAfter); err != nil {",
			"if err := ctx.Err(); err != nil {",
		}},
		by: test(enginePackage, "TestReadiness_SendsNothingAfterTheLeaseExpired"),
	},
	{
		name: "ds-surplus-stops-first",
		bug:  "Stops of surplus tasks use up the API budget before the starts of a rollout.",
		edits: []edit{{
			enginePackage + "/stop.go",
			"return ratelimit.Low",
			"return ratelimit.High",
		}},
		by: test(enginePackage, "TestStop_OfASurplusTaskWaitsForStarts"),
	},
}
