package engine

import (
	"context"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/internal/ecserrors"
)

const (
	describeServicesTimeout = 5 * time.Second  // of the calls of one reconciliation
	describeServicesRetry   = 10 * time.Second // after a failure, for all environments of the cluster
)

// describeFailure is the failure of the last DescribeServices of a cluster.
type describeFailure struct {
	retryAt time.Time
	outcome ecserrors.Outcome
}

// learnDaemonGroups adds to the state which services beside the environment's tasks are DAEMON services of ECS. Their
// tasks are daemons: a drain and the scale-in rule do not wait for them. It calls ECS once for each deployment of such
// a service. While ECS does not answer, the tasks count as workload and ServicesUnknown holds. It returns when to try
// again.
func (e *Engine) learnDaemonGroups(
	ctx context.Context, leader *leaderState, name string, state *planner.State,
) (retryAt time.Time) {
	cluster := state.Environment.Cluster
	unknown := e.Cluster.UnknownServices(state.Tasks)
	if len(unknown) == 0 {
		e.conditions.clear(name, environment.ConditionServicesUnknown)
		return time.Time{}
	}
	failure := leader.describeFailure(cluster)
	if state.Now.Before(failure.retryAt) {
		e.conditions.set(name, environment.ConditionServicesUnknown, failure.outcome)
		return failure.retryAt
	}
	ctx, cancel := context.WithTimeout(ctx, describeServicesTimeout)
	defer cancel()
	daemon, err := e.ecsOf(state.Environment).DaemonServices(ctx, cluster, unknown)
	if err != nil {
		outcome, called := ecserrors.OfError(err)
		if !called {
			outcome = ecserrors.Withheld(err)
		}
		failure = describeFailure{state.Now.Add(describeServicesRetry), outcome}
		leader.recordDescribeFailure(cluster, failure)
		e.conditions.set(name, environment.ConditionServicesUnknown, outcome)
		e.servicesLog.Failed(cluster, err)
		return failure.retryAt
	}
	e.servicesLog.Succeeded(cluster)
	e.Cluster.LearnServices(cluster, daemon, state.Tasks)
	state.DaemonGroups = e.Cluster.DaemonGroups(cluster)
	e.conditions.clear(name, environment.ConditionServicesUnknown)
	return time.Time{}
}

// describeFailure returns the last failure of a cluster; zero if there was none.
func (l *leaderState) describeFailure(clusterARN string) describeFailure {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.describeFailures[clusterARN]
}

func (l *leaderState) recordDescribeFailure(clusterARN string, f describeFailure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.describeFailures[clusterARN] = f
}
