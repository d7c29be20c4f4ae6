package main

const plannerPackage = "daemon-scheduler/planner"

// plannerMutations break decisions about instances.
var plannerMutations = []mutation{
	{
		name:  "ds-canary-selector",
		bug:   "A canary applies its selector to all instances: it stops daemons outside the canary.",
		fixed: "9404a49",
		edits: []edit{{
			plannerPackage + "/instance.go",
			"	if t == nil {\n		t = f.targets.current",
			"	if t != f.targets.current {\n		t = f.targets.current",
		}},
		by: test(plannerPackage, "TestCanary_NarrowerSelectorStopsNothingOutsideTheCanary"),
	},
	{
		name:  "ds-canary-starts-old-tasks",
		bug:   "A canary with a wider selector starts the old task definition where it never ran.",
		fixed: "9404a49",
		edits: []edit{{
			plannerPackage + "/instance.go",
			"	if t == nil {\n		t = f.targets.current",
			"	if t != f.targets.current {\n		t = f.targets.current",
		}},
		by: test(plannerPackage, "TestCanary_WiderSelectorStartsNoOldTaskWhereItNeverRan"),
	},
	{
		name:  "ds-canary-drain-order",
		bug:   "A canary changes the drain order of instances outside the canary.",
		fixed: "9404a49",
		edits: []edit{{
			plannerPackage + "/drain.go",
			`return i.target.spec.DrainOrder`,
			`return f.targets.current.spec.DrainOrder`,
		}},
		by: test(plannerPackage, "TestCanary_DrainOrderGoesByTheTargetsRevision"),
	},
	{
		name:  "ds-canary-scale-in",
		bug:   "A canary changes the scale-in rule of instances outside the canary.",
		fixed: "9404a49",
		edits: []edit{{
			plannerPackage + "/scalein.go",
			`time.Duration(i.target.spec.ScaleInAfterMinutes)`,
			`time.Duration(f.targets.current.spec.ScaleInAfterMinutes)`,
		}},
		by: test(plannerPackage, "TestCanary_ScaleInGoesByTheTargetsRevision"),
	},
	{
		name:  "ds-canary-readiness",
		bug:   "A canary that renames the readiness attribute removes the old one from all instances.",
		fixed: "9404a49",
		edits: []edit{{
			plannerPackage + "/readiness.go",
			"	assigned := t.assign(present, begun)\n",
			"	t.canaryPending = false\n	assigned := t.assign(present, begun)\n",
		}},
		by: test(plannerPackage, "TestPlanReadiness_KeepsTheAttributeOfTheOldRevisionOutsideTheCanary"),
	},
	{
		name:  "ds-lost-agent-completes",
		bug:   "A deployment is COMPLETED while an instance with a disconnected agent still has the old task.",
		fixed: "cc1dbac",
		edits: []edit{{
			plannerPackage + "/progress.go",
			`desired := i.schedulable || !i.unreachableTo.IsZero()`,
			`desired := i.schedulable`,
		}},
		by: test(plannerPackage, "TestProgress_ALostAgentDelaysCompletionForTenMinutes"),
	},
	{
		name:  "ds-all-agents-lost-completes",
		bug:   "A deployment is COMPLETED with no task when all agents of the cluster are disconnected.",
		fixed: "cc1dbac",
		edits: []edit{{
			plannerPackage + "/progress.go",
			`succeeded := c.running > 0 || c.registered == 0`,
			`succeeded := c.running > 0 || c.Desired == 0`,
		}},
		by: test(plannerPackage, "TestProgress_CompletesWithoutATaskOnlyIfNoInstanceIsRegistered"),
	},
	{
		name:  "ds-breaker-counts-user-stops",
		bug:   "The circuit breaker counts tasks that a user or a drain stopped, and rolls a healthy deployment back.",
		fixed: "65b4857",
		edits: []edit{{
			plannerPackage + "/launch.go",
			`return !stopCodesOfOthers[task.StopCode] && !stoppedByBlox(task) && `,
			`return !stoppedByBlox(task) && `,
		}},
		by: test(plannerPackage, "TestCircuitBreaker_IgnoresStopsThatAreNoFailures"),
	},
	{
		name:  "ds-breaker-counts-attempts",
		bug:   "The circuit breaker counts attempts instead of failures.",
		fixed: "65b4857",
		edits: []edit{{
			plannerPackage + "/circuitbreaker.go",
			`failures.launches += l.Failures`,
			`failures.launches += l.Attempts`,
		}, {
			plannerPackage + "/circuitbreaker.go",
			`l.HadNoTask && !first || l.Failures == 0 {`,
			`l.HadNoTask && !first {`,
		}},
		by: test(plannerPackage, "TestCircuitBreaker_IgnoresStopsThatAreNoFailures"),
	},
	{
		name: "ds-breaker-never-trips",
		bug:  "The circuit breaker never trips.",
		edits: []edit{{
			plannerPackage + "/circuitbreaker.go",
			`if !breaker.Enable || !canFail(f) || failures < threshold {`,
			`if !breaker.Enable || !canFail(f) || failures < threshold*1000 {`,
		}},
		by: test(plannerPackage, "TestCircuitBreaker_StopsAndRollsBackABadDeployment"),
	},
	{
		name:  "ds-launch-by-others-clock",
		bug:   "The clock of the replica that wrote a launch decides when the launch is confirmed.",
		fixed: "79c83be",
		edits: []edit{{
			plannerPackage + "/confirm.go",
			`if seen, ok := f.FirstSeenAt[launch.Instance]; ok {`,
			`if seen, ok := f.FirstSeenAt[launch.Instance]; ok && false {`,
		}},
		by: test("daemon-scheduler/engine", "TestOpenLaunch_IsSettledByTheLeadersOwnClock"),
	},
	{
		name: "ds-open-launch-settled-at-once",
		bug:  "A StartTask without a response is confirmed at once, although it may still take effect.",
		edits: []edit{{
			plannerPackage + "/confirm.go",
			`return seen.Add(environment.LaunchWindow + f.StartConfirmTimeout)`,
			`return seen`,
		}, {
			plannerPackage + "/confirm.go",
			`return launch.NotAfter.Add(f.StartConfirmTimeout)`,
			`return launch.NotAfter.Add(-environment.LaunchWindow)`,
		}},
		by: test(plannerPackage, "TestConfirm_AnUnansweredOrInvisibleLaunchOccupiesItsInstance"),
	},
	{
		name: "ds-open-launch-ignored",
		bug:  "An instance with an open launch is given a second task.",
		edits: []edit{{
			plannerPackage + "/planner.go",
			`case i.isOpen():`,
			`case i.isOpen() && !i.schedulable:`,
		}},
		by: test(plannerPackage, "TestMake_NeverRunsTwoTasksOfADeploymentOnAnInstance"),
	},
	{
		name:  "ds-pause-holds-drains",
		bug:   "A pause holds drains, so a terminating instance waits for its daemons.",
		fixed: "0c49e60",
		edits: []edit{{
			plannerPackage + "/planner.go",
			`case !f.deployed(), i.Status == statusDraining && (i.matches || i.hold != ""):`,
			`case !f.deployed(), i.Status == statusDraining && i.matches && i.hold == "":`,
		}},
		by: test(plannerPackage, "TestPause_DrainsGoOn"),
	},
	{
		name:  "ds-pause-holds-scale-in",
		bug:   "A pause holds scale-in.",
		fixed: "0c49e60",
		edits: []edit{{
			plannerPackage + "/planner.go",
			"case i.released():\n		return release(f, i)",
			"case i.released() && i.hold == \"\":\n		return release(f, i)",
		}},
		by: test(plannerPackage, "TestPause_ScaleInGoesOnAndReturnsTheDaemon"),
	},
	{
		name:  "ds-pause-reports-healthy",
		bug:   "A paused environment is healthy although a new instance has no daemon.",
		fixed: "0c49e60",
		edits: []edit{{
			plannerPackage + "/progress.go",
			`if len(c.failed) > 0 || c.missing > 0 {`,
			`if len(c.failed) > 0 {`,
		}},
		by: test(plannerPackage, "TestPause_AnInstanceWithoutADaemonIsUnhealthy"),
	},
	{
		name:  "ds-paused-rollout-starves-new-instances",
		bug:   "After the circuit breaker has paused a rollout, new instances get no daemon.",
		fixed: "0c49e60",
		edits: []edit{{
			plannerPackage + "/planner.go",
			`case f.rolloutPaused() && len(i.live) > 0:`,
			`case f.rolloutPaused():`,
		}},
		by: test(plannerPackage, "TestPausedRollout_GivesNewInstancesTheEffectiveDeployment"),
	},
	{
		name:  "ds-equal-tasks-replaced",
		bug:   "A change of the drain order alone replaces every task.",
		fixed: "a29246f",
		edits: []edit{{
			plannerPackage + "/instance.go",
			`(startedBy == t.ID || t.adopted[startedBy])`,
			`startedBy == t.ID`,
		}},
		by: test(plannerPackage, "TestSettle_AdoptsATaskOfAnotherDeployment"),
	},
	{
		name:  "ds-readiness-not-compared",
		bug:   "A readiness attribute that a user removed is never set again.",
		fixed: "0b08c37",
		edits: []edit{{
			plannerPackage + "/readiness.go",
			`a.NotAfter.IsZero() && !s.Listings[a.Name].contradicts(a):`,
			`a.NotAfter.IsZero():`,
		}},
		by: test(plannerPackage, "TestPlanReadiness_ComparesWithECS"),
	},
	{
		name:  "ds-drain-waits-for-ecs-daemons",
		bug:   "A drain waits for the tasks of ECS's DAEMON services, which wait for the drain.",
		fixed: "aae0eab",
		edits: []edit{{
			plannerPackage + "/facts.go",
			`case !daemon && (f.DaemonGroups[task.Group] || strings.HasPrefix(task.Group, managedDaemonPrefix)):`,
			`case !daemon && task.Group == "" && strings.HasPrefix(task.Group, managedDaemonPrefix):`,
		}},
		by: test(plannerPackage, "TestDrain_DoesNotWaitForTheDaemonsOfECS"),
	},
	{
		name:  "ds-scale-in-waits-for-ecs-daemons",
		bug:   "Tasks of ECS's DAEMON services keep an instance from scale-in for ever.",
		fixed: "aae0eab",
		edits: []edit{{
			plannerPackage + "/facts.go",
			`case !daemon && (f.DaemonGroups[task.Group] || strings.HasPrefix(task.Group, managedDaemonPrefix)):`,
			`case !daemon && task.Group == "" && strings.HasPrefix(task.Group, managedDaemonPrefix):`,
		}},
		by: test(plannerPackage, "TestScaleIn_DoesNotWaitForTheDaemonsOfECS"),
	},
	{
		name: "ds-drain-before-workload",
		bug:  "A drain stops daemons before the tasks that they serve.",
		edits: []edit{{
			plannerPackage + "/drain.go",
			`case !i.daemonsOnly:`,
			`case !i.daemonsOnly && i.hold != "":`,
		}},
		by: test(plannerPackage, "TestDrain_StopsDaemonsInTheirOrder"),
	},
	{
		name: "ds-drain-order-ignored",
		bug:  "A drain stops daemons in any order.",
		edits: []edit{{
			plannerPackage + "/drain.go",
			`return found && lowest < drainOrder(f, i)`,
			`return found && lowest < 0`,
		}},
		by: test(plannerPackage, "TestDrain_StopsDaemonsInTheirOrder"),
	},
	{
		name: "ds-minimum-healthy-exceeded",
		bug:  "A rollout stops one task more than `minimumHealthyPercent` permits.",
		edits: []edit{{
			plannerPackage + "/budget.go",
			`remaining:   maxUnavailable - unavailable,`,
			`remaining:   maxUnavailable - unavailable + 1,`,
		}},
		by: test(plannerPackage, "TestRollout_KeepsToItsPercentages"),
	},
	{
		name: "ds-maximum-percent-exceeded",
		bug:  "A rollout starts one task more than `maximumPercent` permits.",
		edits: []edit{{
			plannerPackage + "/budget.go",
			`budget.remaining = maxSurge - surging
`,
			`budget.remaining = maxSurge - surging + 1
`,
		}},
		by: test(plannerPackage, "TestRollout_KeepsToItsPercentages"),
	},
	{
		name: "ds-min-ready-ignored",
		bug:  "A rollout continues as soon as new tasks are RUNNING, although they stop seconds later.",
		edits: []edit{{
			plannerPackage + "/budget.go",
			`if !f.Now.Before(due) {`,
			`if due.After(time.Time{}) {`,
		}},
		by: test(plannerPackage, "TestBudget_CountsUnavailableInstances"),
	},
	{
		name:  "ds-missing-counts-replaced-revision",
		bug:   "After a rollback, blox_ds_daemons_missing counts the daemons of the bad revision.",
		fixed: "0b08c37",
		edits: []edit{{
			plannerPackage + "/counts.go",
			`		missing += oneIf(desired && !(i.hasKept && i.kept.Running()))`,
			`		newest := f.Environment.History()[0].ID
		missing += oneIf(desired && !(i.hasKept && i.kept.Running() && i.kept.StartedBy == newest))`,
		}},
		by: test(plannerPackage, "TestCounts_MissTheTargetAfterAFailure"),
	},
}
