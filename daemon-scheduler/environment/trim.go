package environment

import "maps"

// TrimDeployments removes the oldest ended deployments beyond keep. It keeps the current one, those inUse, and the
// deployments that a rollback may restore or undo.
func (e Environment) TrimDeployments(keep int, inUse func(id string) bool) Environment {
	history := e.History()
	if len(history) <= keep {
		return e
	}
	needed := map[string]bool{history[0].ID: true}
	if d, ok := e.Current(); ok {
		needed[d.ID] = true
	}
	if d, ok := e.NewestCompleted(); ok {
		needed[d.ID] = true
	}
	if to, from, err := e.rollbackTarget(); err == nil {
		needed[to.ID] = true
		needed[from.ID] = true
	}
	e.Deployments = maps.Clone(e.Deployments)
	for i := len(history) - 1; i > 0 && len(e.Deployments) > keep; i-- {
		if d := history[i]; d.Status == Completed && !needed[d.ID] && !inUse(d.ID) {
			delete(e.Deployments, d.ID)
		}
	}
	return e
}

// maxUnstarted is how many deployments are kept that ended before they started.
const maxUnstarted = 20

// TrimUnstarted removes the oldest deployments beyond maxUnstarted that ended before they started, as they do while the
// environment is paused or no replica leads. It keeps deployments that a rollback may undo, that other fields name, or
// that are inUse.
func (e Environment) TrimUnstarted(inUse func(id string) bool) Environment {
	needed := map[string]bool{e.PausedBy: true}
	if _, from, err := e.rollbackTarget(); err == nil {
		needed[from.ID] = true
	}
	if d, ok := e.InProgress(); ok {
		needed[d.RollbackOf] = true
	}
	unstarted := 0
	kept := maps.Clone(e.Deployments)
	for _, d := range e.History() {
		ended := d.Rollout() == RolloutStopped || d.Rollout() == RolloutFailed
		if !ended || !d.RolloutStartedAt.IsZero() {
			continue
		}
		unstarted++
		provesTokenUsed := d.Token != "" && d.Token == e.Token
		if unstarted > maxUnstarted && !provesTokenUsed && !needed[d.ID] && !inUse(d.ID) {
			delete(kept, d.ID)
		}
	}
	if len(kept) < len(e.Deployments) {
		e.Deployments = kept
	}
	return e
}
