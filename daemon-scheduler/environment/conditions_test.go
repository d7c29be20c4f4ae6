package environment

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestEffective_IsTheRevisionThatRuns(t *testing.T) {
	alone := must(t)(Create("logs", "", token1, Spec{TaskDefinition: "arn:td:1"}, now).Deploy(first, token1, now))
	deploying := updated(t, Spec{})
	deployed := completed(deploying, second, now)
	rollingBack := must(t)(deployed.Rollback(third, now))
	for name, tc := range map[string]struct {
		of   Environment
		want string
	}{
		"no deployment":           {Create("logs", "", token1, Spec{}, now), ""},
		"the first deployment":    {alone, first},
		"a deployment":            {deploying, first},
		"a completed deployment":  {deployed, second},
		"a rollback":              {rollingBack, third},
		"a completed rollback":    {completed(rollingBack, third, now), third},
		"an aborted deployment":   {must(t)(deploying.Stop(second, StopAbort, "", now)), first},
		"only an aborted one":     {must(t)(alone.Stop(first, StopAbort, "", now)), ""},
		"a deletion":              {deployed.Delete(now), second},
		"a revision not deployed": {must(t)(deployed.Update(Spec{}, token2, token3, now)), second},
	} {
		d, ok := tc.of.Effective()
		assert.Equal(t, tc.want, d.ID, name)
		assert.Equal(t, tc.want != "", ok, name)
	}
}

func TestConditions_FollowTheEnvironment(t *testing.T) {
	at := func(hours int) time.Time { return now.Add(time.Duration(hours) * time.Hour) }
	canary := Spec{DeploymentConfiguration: DeploymentConfiguration{Canary: &Canary{Percent: 10}}}
	deploying := updated(t, breaker(true))
	deployed := completed(deploying, second, at(1))
	rolledBack := must(t)(deployed.Rollback(third, at(2)))
	failed := deploying.Fail(second, "3 failures (threshold 3).", third, allActive, at(3))
	unhandled := updated(t, breaker(false)).Fail(second, "3 failures (threshold 3).", third, allActive, at(3))
	aborted := must(t)(deploying.Stop(second, StopAbort, "", at(3)))
	redeployed := must(t)(failed.Update(Spec{TaskDefinition: "arn:td:3"}, token2, token3, now))
	redeployed = must(t)(redeployed.Deploy("x", token3, now))
	const restored = "Revision 1 with arn:td:1 is in effect; revision 2 with arn:td:2 was rolled back."
	const byUser = "Blox starts and replaces no task until the environment is resumed."
	const byDeployment = "Blox replaces no task until the environment is resumed or deployed."
	tripped := Condition{
		ConditionCircuitBreakerTripped, ConditionTrue, "TooManyFailures", "3 failures (threshold 3).", at(3),
	}
	isPaused := func(reason, message string, since time.Time) Condition {
		return Condition{ConditionPaused, ConditionTrue, reason, message, since}
	}
	waiting := Condition{
		ConditionWaitingForPromotion, ConditionTrue, "CanaryNotPromoted",
		"The deployment continues beyond its canary when it is promoted.", now.Add(2 * time.Minute),
	}
	undone := Condition{ConditionRolledBack, ConditionTrue, "RollbackRequested", restored, at(2)}
	undoneByFailure := Condition{ConditionRolledBack, ConditionTrue, "DeploymentFailed", restored, at(3)}
	for name, tc := range map[string]struct {
		of   Environment
		want []Condition
	}{
		"nothing is deployed":        {Create("logs", "", token1, Spec{}, now), nil},
		"a completed deployment":     {deployed, nil},
		"a rollback":                 {rolledBack, []Condition{undone}},
		"a completed rollback":       {completed(rolledBack, third, at(3)), []Condition{undone}},
		"a new revision afterwards":  {must(t)(rolledBack.Update(Spec{}, token2, token3, now)), nil},
		"the rollback is undone":     {must(t)(completed(rolledBack, third, at(3)).Rollback("x", at(4))), nil},
		"a pause by a user":          {must(t)(deployed.Pause(at(4))), []Condition{isPaused("UserRequested", byUser, at(4))}},
		"the end of a pause":         {must(t)(must(t)(deployed.Pause(at(4))).Resume()), nil},
		"an aborted deployment":      {aborted, []Condition{isPaused("DeploymentAborted", byDeployment, at(3))}},
		"a canary":                   {updated(t, canary), []Condition{waiting}},
		"a promoted canary":          {must(t)(updated(t, canary).Promote(second)), nil},
		"a failure that rolls back":  {failed, []Condition{undoneByFailure, tripped}},
		"a failure that pauses":      {unhandled, []Condition{isPaused("DeploymentFailed", byDeployment, at(3)), tripped}},
		"a deployment after failure": {redeployed, nil},
	} {
		assert.Equal(t, tc.want, tc.of.Conditions(), name)
	}
}
