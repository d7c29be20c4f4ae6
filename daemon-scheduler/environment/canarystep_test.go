package environment

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stepped returns an environment whose second deployment has a canary with three steps, the first two of which the
// scheduler promotes after 10 and after 0 minutes.
func stepped(t *testing.T) Environment {
	t.Helper()
	ten, none := 10, 0
	return updated(t, Spec{DeploymentConfiguration: DeploymentConfiguration{Canary: &Canary{Steps: []CanaryStep{
		{Percent: 10, PauseMinutes: &ten}, {Count: 1, PauseMinutes: &none}, {Query: "attribute:a exists"},
	}}}})
}

func TestPromote_AdvancesByOneStep(t *testing.T) {
	e := stepped(t)
	for n, want := range []string{
		"Step 1 of 3 (10% of the instances)", "Step 2 of 3 (1 instance)", "Step 3 of 3 (attribute:a exists)", "",
	} {
		d := e.Deployments[second]
		assert.Equal(t, want, e.CanaryStepText(d))
		assert.Equal(t, n == 3, d.Promoted)
		assert.Equal(t, n < 3, e.AwaitsPromotion())
		data, err := json.Marshal(e)
		require.NoError(t, err)
		var read Environment
		require.NoError(t, json.Unmarshal(data, &read))
		assert.Equal(t, d.CanaryProgress, read.Deployments[second].CanaryProgress)
		e = must(t)(e.Promote(second))
	}
	full := must(t)(stepped(t).PromoteFully(second))
	assert.True(t, full.Deployments[second].Promoted)
	assert.Equal(t, full, must(t)(full.PromoteFully(second)))
}

func TestPromoteStep_MayBeRepeated(t *testing.T) {
	e := stepped(t)
	_, err := e.PromoteStep(second, 2)
	assert.ErrorContains(t, err, "has not reached step 2 of its canary: promote step 1 first")
	_, err = e.PromoteStep(second, 4)
	assert.ErrorContains(t, err, "has no step 4: it has 3")
	next := must(t)(e.PromoteStep(second, 1))
	assert.Equal(t, 1, next.Deployments[second].CanaryProgress.PromotedSteps)
	assert.Equal(t, next, must(t)(next.PromoteStep(second, 1)))
	all := must(t)(next.PromoteFully(second))
	assert.Equal(t, all, must(t)(all.PromoteStep(second, 3)))
}

func TestRecordProgress_RecordsTheStep(t *testing.T) {
	e := stepped(t)
	e, _ = e.RecordProgress(second, Progress{Status: Running}, now)
	at := now.Add(10 * time.Minute)
	record := func(e Environment, p StepProgress) (Environment, bool) {
		return e.RecordProgress(second, Progress{Status: Running, Step: p}, now)
	}
	e, changed := record(e, StepProgress{Number: 1, Ready: true, PromotesAt: at})
	assert.True(t, changed, "the time of the promotion is known")
	for name, tc := range map[string]struct {
		p    StepProgress
		want bool
	}{
		"nothing is new":              {StepProgress{Number: 1, Ready: true, PromotesAt: at}, false},
		"a few seconds more":          {StepProgress{Number: 1, Ready: true, PromotesAt: at, ReadyFor: 59 * time.Second}, false},
		"a minute more":               {StepProgress{Number: 1, Ready: true, PromotesAt: at, ReadyFor: time.Minute}, true},
		"it is not ready any more":    {StepProgress{Number: 1}, true},
		"another step":                {StepProgress{Number: 2, Promote: true}, false},
		"no step for the scheduler":   {StepProgress{}, false},
		"the time is over":            {StepProgress{Number: 1, Promote: true}, true},
		"the clock has jumped a hour": {StepProgress{Number: 1, PromotesAt: at.Add(time.Hour)}, true},
	} {
		_, changed := record(e, tc.p)
		assert.Equal(t, tc.want, changed, name)
	}
	e, _ = record(e, StepProgress{Number: 1, Ready: true, PromotesAt: at, ReadyFor: 5 * time.Minute})
	failed, changed := record(e, StepProgress{Number: 1})
	assert.True(t, changed)
	assert.Equal(t, CanaryProgress{}, failed.Deployments[second].CanaryProgress, "a failure starts the time again")
	e, _ = record(e, StepProgress{Number: 1, Promote: true, ReadyFor: 10 * time.Minute})
	assert.Equal(t, CanaryProgress{PromotedSteps: 1}, e.Deployments[second].CanaryProgress)
	e, _ = record(e, StepProgress{Number: 2, Promote: true})
	assert.False(t, e.Deployments[second].Promoted)
	e, changed = record(e, StepProgress{Number: 3})
	assert.False(t, changed)
	stopped := must(t)(e.Stop(second, StopAbort, "", now))
	_, changed = record(stopped, StepProgress{Number: 3, Promote: true})
	assert.False(t, changed)
}

func TestConditions_NameTheStepAndItsPromotion(t *testing.T) {
	e := stepped(t)
	message := func(e Environment) string { return e.Conditions()[0].Message }
	assert.Equal(t, "Step 1 of 3 (10% of the instances): Blox promotes the step when its tasks have been ready for "+
		"10 minutes.", message(e))
	e, _ = e.RecordProgress(second, Progress{
		Status: Running, Step: StepProgress{Number: 1, Ready: true, PromotesAt: now.Add(time.Minute)},
	}, now)
	assert.Equal(t, "Step 1 of 3 (10% of the instances): Blox promotes the step at "+
		now.Add(time.Minute).Format(time.RFC3339)+" if its tasks stay ready.", message(e))
	e = must(t)(must(t)(e.Promote(second)).Promote(second))
	assert.Equal(t, "Step 3 of 3 (attribute:a exists): the deployment continues when the step is promoted.", message(e))
}
