package engine

import (
	"context"
	"errors"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// activeRollbackDefinition returns a function that reports true for the first of the definitions that is ACTIVE, and
// for no other. ECS starts no task of an INACTIVE one, so a rollback to it would stop tasks and never recover.
func (r *reconciliation) activeRollbackDefinition(
	ctx context.Context, definitions []string,
) (isActive func(taskDefinition string) bool, err error) {
	for _, definition := range definitions {
		_, err := r.ECS.TaskDefinition(ctx, definition)
		switch {
		case err == nil:
			return func(taskDefinition string) bool { return taskDefinition == definition }, nil
		case errors.Is(err, environment.ErrTaskDefinitionInactive), errors.Is(err, environment.ErrTaskDefinitionNotFound):
			r.log.WithField("taskDefinition", definition).Warn("no rollback to an inactive task definition")
		default:
			return nil, err
		}
	}
	return func(string) bool { return false }, nil
}
