package environment

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// After any transitions in any order, at most one deployment is in progress, ended deployments do not change, the
// current deployment is in progress or completed, its revision is known, and the record survives a rewrite.
func TestTransitions_KeepInvariantsInAnyOrder(t *testing.T) {
	counts := map[string]int{}
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 2))
		spec := breaker(seed%2 == 0)
		spec.TaskDefinition = "arn:td:1"
		e, at := Create("logs", "arn:cluster", token1, spec, now), now
		ids := 0
		id := func() string { ids++; return fmt.Sprintf("%08d-0000-4000-8000-000000000000", ids) }
		for range 60 {
			before, d := e, e.any(r)
			at = at.Add(time.Duration(r.IntN(200)-100) * time.Second) // replicas have different clocks
			switch r.IntN(14) {
			case 0, 1:
				spec := Spec{TaskDefinition: fmt.Sprintf("arn:td:%d", 1+r.IntN(5)), Query: "attribute:a exists"}
				if r.IntN(2) == 0 {
					spec.DeploymentConfiguration.Canary = &Canary{Percent: 10}
				}
				e, _ = e.Update(spec, e.Token, id(), at)
			case 2, 3, 4:
				e, _ = e.Deploy(id(), e.Token, at)
			case 5:
				e, _ = e.Stop(d.ID, StopRollback, id(), at)
			case 6:
				e, _ = e.Stop(d.ID, StopAbort, id(), at)
			case 7:
				e = e.Fail(d.ID, "it failed", id(), allActive, at)
			case 8:
				e, _ = e.Rollback(id(), at)
			case 9:
				e, _ = e.Promote(d.ID)
			case 10:
				if next, err := e.Pause(at); err == nil && r.IntN(2) == 0 {
					e = next
				} else if next, err := e.Resume(); err == nil {
					e = next
				}
			case 11:
				e = e.TrimDeployments(3, func(string) bool { return false }).TrimUnstarted(func(string) bool { return false })
			case 12:
				if r.IntN(10) == 0 {
					e = e.Delete(at)
				}
			default:
				if current, ok := e.Current(); ok {
					e, _ = e.RecordProgress(
						current.ID,
						Progress{Status: Status(1 + r.IntN(2)), FailedTasks: r.IntN(3), Baking: r.IntN(2) == 0},
						at,
					)
				}
			}
			e.checkInvariants(t, before, seed)
			for _, d := range e.Deployments {
				counts[string(d.Rollout())]++
				if d.RollbackOf != "" {
					counts["rollback"]++
				}
			}
			counts[string(e.Phase())]++
		}
	}
	for _, state := range []string{
		"IN_PROGRESS", "COMPLETED", "FAILED", "STOPPED", "rollback", "inactive", "active", "deploying", "paused",
		"deleting",
	} {
		require.Greater(t, counts[state], 100, state)
	}
}

// any returns a random deployment, or the zero value if the environment has none.
func (e Environment) any(r *rand.Rand) Deployment {
	history := e.History()
	if len(history) == 0 {
		return Deployment{}
	}
	return history[r.IntN(len(history))]
}

// checkInvariants fails the test if e, the result of a transition of before, breaks an invariant.
func (e Environment) checkInvariants(t *testing.T, before Environment, seed uint64) {
	t.Helper()
	inProgress := 0
	for id, d := range e.Deployments {
		if d.Status != Completed {
			inProgress++
		}
		if was, ok := before.Deployments[id]; ok && was.Status == Completed {
			require.Equal(t, was.Rollout(), d.Rollout(), "seed %d: %s", seed, id)
			require.Equal(t, was.EndTime, d.EndTime, "seed %d: %s", seed, id)
		}
	}
	require.LessOrEqual(t, inProgress, 1, "seed %d", seed)
	newest := before.nextSequence() - 1
	for i, d := range e.History() {
		if _, kept := before.Deployments[d.ID]; !kept {
			require.Zero(t, i, "seed %d: %s is not the newest deployment", seed, d.ID)
			require.Greater(t, d.Sequence, newest, "seed %d", seed)
		}
	}
	require.GreaterOrEqual(t, e.nextSequence(), before.nextSequence(), "seed %d: the newest deployment is lost", seed)
	if e.IsDeleting() {
		require.Zero(t, inProgress, "seed %d", seed)
		require.True(t, before.IsDeleting() || before.DeletingSince.IsZero())
	}
	current, deployed := e.Current()
	if deployed {
		require.Contains(t, []RolloutState{RolloutInProgress, RolloutCompleted}, current.Rollout(), "seed %d", seed)
		require.Equal(t, "arn:td", e.RevisionFor(current).Spec.TaskDefinition[:6], "seed %d", seed)
	}
	if was, ok := before.newestCompleted(func(Deployment) bool { return true }); ok {
		_, kept := e.newestCompleted(func(Deployment) bool { return true })
		require.True(t, kept, "seed %d: %s is missing for a rollback", seed, was.ID)
	}
	require.GreaterOrEqual(t, e.LatestRevision().Number, before.LatestRevision().Number, "seed %d", seed)
	require.Equal(t, e.DesiredTaskDefinition, e.LatestRevision().Spec.TaskDefinition, "seed %d", seed)

	written, err := json.Marshal(e)
	require.NoError(t, err)
	var read Environment
	require.NoError(t, json.Unmarshal(written, &read))
	again, err := json.Marshal(read)
	require.NoError(t, err)
	require.JSONEq(t, string(written), string(again), "seed %d", seed)
	require.Equal(t, e.Phase(), read.Phase(), "seed %d", seed)
}
