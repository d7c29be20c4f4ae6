package environment

import (
	"cmp"
	"slices"
)

// numberDeployments gives each deployment of a record that was read a sequence number. Versions of Blox that write none
// may run beside this one, or have run before it:
//
//	record                                     | deployments without a number
//	-------------------------------------------+-----------------------------------------------------------------
//	no deployment has a number                 | in the order of byCreation: v0.3 wrote the record
//	some have a number, LastSequence is set    | newer than all others: an older version has added them since
//	some have a number, LastSequence is absent | older than all others: they were there when numbers began
//
// The result depends on the record alone, so all replicas agree on it.
func (e *Environment) numberDeployments() {
	var numbered, others []Deployment
	highest := e.LastSequence
	for _, d := range e.Deployments {
		if d.Sequence == 0 {
			others = append(others, d)
			continue
		}
		numbered = append(numbered, d)
		highest = max(highest, d.Sequence)
	}
	others = e.byCreation(others)
	if len(others) > 0 && len(numbered) > 0 && e.LastSequence == 0 {
		slices.SortFunc(numbered, func(a, b Deployment) int {
			return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), byTime(a, b))
		})
		others = append(others, numbered...)
		highest = 0
	}
	for _, d := range others {
		highest++
		d.Sequence = highest
		e.Deployments[d.ID] = d
	}
	e.LastSequence = highest
}

// byCreation sorts deployments without a sequence number, oldest first. Their times are of the replicas that created
// them, whose clocks differ. The record knows better which of them started last, and which is to start next.
func (e *Environment) byCreation(deployments []Deployment) []Deployment {
	slices.SortFunc(deployments, byTime)
	hasID := func(id string) func(Deployment) bool { return func(d Deployment) bool { return d.ID == id } }
	if n := slices.IndexFunc(deployments, hasID(e.InProgressDeploymentID)); n >= 0 {
		last := n
		for k := n + 1; k < len(deployments); k++ {
			if deployments[k].hasStarted() {
				last = k
			}
		}
		moveBehind(deployments, n, last)
	}
	n := slices.IndexFunc(deployments, hasID(e.PendingDeploymentID))
	if n >= 0 && deployments[n].Status != Completed {
		moveBehind(deployments, n, len(deployments)-1)
	}
	return deployments
}

// hasStarted reports whether the deployment has had progress. One that was stopped before has none.
func (d Deployment) hasStarted() bool {
	return d.Status != Pending && (d.RolloutState == "" || !d.RolloutStartedAt.IsZero())
}

// byTime compares deployments by their times, which are those of different clocks.
func byTime(a, b Deployment) int {
	return cmp.Or(a.StartTime.Compare(b.StartTime), a.EndTime.Compare(b.EndTime), cmp.Compare(a.ID, b.ID))
}

// moveBehind moves the n-th deployment behind the last-th, which is n or follows it.
func moveBehind(deployments []Deployment, n, last int) {
	moved := deployments[n]
	copy(deployments[n:last], deployments[n+1:last+1])
	deployments[last] = moved
}
