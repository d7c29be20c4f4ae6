package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/internal/ecserrors"
)

// failDeployment returns env after its deployment has failed. It rolls back only to a task definition that ECS reports
// as ACTIVE. If ECS rejects the question, such as for lack of permissions, another one would change nothing: the
// rollout pauses, and its reason tells why. It returns other errors, which are transient.
func (r *reconciliation) failDeployment(
	ctx context.Context, env environment.Environment, plan planner.Plan, now time.Time,
) (environment.Environment, error) {
	id, reason := plan.Deployment, plan.FailureReason
	env = env.WithFailureCause(id, plan.FailureCause)
	isActive, unverified, err := r.activeRollbackDefinition(ctx, env.RollbackDefinitions(id))
	switch {
	case err != nil:
		return env, fmt.Errorf("choose the rollback's deployment: %w", err)
	case unverified != "":
		reason += " Blox cannot roll back: " + unverified
		env = env.FailAndPause(id, reason, now)
	default:
		env = env.Fail(id, reason, uuid.NewString(), isActive, now)
	}
	r.log.WithField("reason", reason).Warn("deployment failed")
	return env, nil
}

// activeRollbackDefinition returns a function that reports true for the first of the definitions that is ACTIVE, and
// for no other. ECS starts no task of an INACTIVE one, so a rollback to it would stop tasks and never recover.
// Unverified is why ECS does not report the status of one; empty if it does.
func (r *reconciliation) activeRollbackDefinition(
	ctx context.Context, definitions []string,
) (isActive func(taskDefinition string) bool, unverified string, err error) {
	for _, definition := range definitions {
		_, err := r.ECS.TaskDefinition(ctx, definition)
		outcome, called := ecserrors.OfError(err)
		switch {
		case err == nil:
			return func(taskDefinition string) bool { return taskDefinition == definition }, "", nil
		case errors.Is(err, environment.ErrTaskDefinitionInactive), errors.Is(err, environment.ErrTaskDefinitionNotFound):
			r.log.WithField("taskDefinition", definition).Warn("rollback skipped: the task definition is inactive")
		case called && outcome.Class == ecserrors.Rejected:
			return nil, fmt.Sprintf(
				"ECS rejected DescribeTaskDefinition for %s: %s: %s", definition, outcome.Code, outcome.Message), nil
		default:
			return nil, "", err
		}
	}
	return func(string) bool { return false }, "", nil
}
