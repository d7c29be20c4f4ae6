package environment

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each replica stamps the deployments that it creates by its own clock, so the times say nothing about their order.
func TestHistory_FollowsSequenceWhenClocksStepBack(t *testing.T) {
	for name, skew := range map[string]time.Duration{
		"by a second": time.Second, "by hours": 5 * time.Hour, "by a year": 365 * 24 * time.Hour, "not at all": 0,
	} {
		t.Run(name, func(t *testing.T) {
			behind := now.Add(-skew)
			e := Create("logs", "arn:cluster", token1, Spec{TaskDefinition: "arn:td:1"}, now)
			e = completed(must(t)(e.Deploy(first, token1, now)), first, now)
			e = must(t)(e.Update(Spec{TaskDefinition: "arn:td:2"}, token1, token2, behind))
			e = must(t)(e.Deploy(second, token2, behind))
			assert.Equal(t, []string{second, first}, historyIDs(e))

			e = completed(e, second, behind)
			newest, _ := e.NewestCompleted()
			assert.Equal(t, second, newest.ID, "a completed rollout is not undone")
			current, _ := e.Current()
			assert.Equal(t, second, current.ID)
			assert.Equal(t, 1, must(t)(e.Rollback(third, behind)).Deployments[third].Revision)
			trimmed := e.TrimDeployments(1, func(string) bool { return false })
			assert.Contains(t, trimmed.Deployments, second)

			e = must(t)(e.Update(Spec{TaskDefinition: "arn:td:3"}, token2, token3, behind))
			e = must(t)(e.Deploy(third, token3, behind))
			e = must(t)(e.Stop(third, StopAbort, "", behind))
			undone, found := e.latestUnsuccessful()
			require.True(t, found)
			assert.Equal(t, third, undone.ID)
			assert.Equal(t, 2, must(t)(e.Rollback("back", behind)).Deployments["back"].Revision)
		})
	}
}

func TestHistory_DeploymentsOfV03PrecedeNumberedOnes(t *testing.T) {
	e := read(t, v03)
	e = must(t)(e.Update(Spec{TaskDefinition: "arn:td:2"}, token1, token2, time.Time{}))
	e = completed(must(t)(e.Deploy(third, token2, now.AddDate(-20, 0, 0))), third, now.AddDate(-20, 0, 0))
	assert.Equal(t, []string{third, first, second}, historyIDs(e))
	assert.EqualValues(t, 3, e.Deployments[third].Sequence)
}

func historyIDs(e Environment) (ids []string) {
	for _, d := range e.History() {
		ids = append(ids, d.ID)
	}
	return ids
}
