package main

// withoutFaults has the arguments of the run of blox-robustness that finds these mutations. They share it, because a
// run takes minutes and is repeated once without a mutation.
const withoutFaults = "--seed 5 --duration 40s --faults= --api-limits"

// schedulerRunMutations break promises of daemon-scheduler that blox-robustness checks.
var schedulerRunMutations = []mutation{
	{
		name: "ds-budget-ignores-unavailable",
		bug:  "A rollout stops as many daemons as may be unavailable, however many are unavailable already.",
		edits: []edit{{
			plannerPackage + "/budget.go",
			`		remaining:   maxUnavailable - unavailable,`,
			`		remaining:   maxUnavailable,`,
		}},
		by: robustness("rollouts keep the minimum of available tasks", withoutFaults),
	},
	{
		name: "ds-completed-rollout-undone",
		bug:  "Once a rollout has completed, the scheduler returns to the oldest deployment that completed.",
		edits: []edit{{
			"daemon-scheduler/environment/deployment.go",
			`	for _, d := range e.History() {
		if d.Rollout() == RolloutCompleted && matches(d) {`,
			`	for _, d := range slices.Backward(e.History()) {
		if d.Rollout() == RolloutCompleted && matches(d) {`,
		}},
		by: robustness("a completed rollout is never undone", withoutFaults),
	},
	{
		name: "ds-completion-not-planned-again",
		bug:  "After it has recorded progress, the scheduler waits for the next event before it plans again.",
		edits: []edit{{
			enginePackage + "/reconcile.go",
			`return len(plan.Actions) > 0 || r.recorded }`,
			`return len(plan.Actions) > 0 }`,
		}},
		by: robustness("every surface shows what runs", withoutFaults),
	},
}
