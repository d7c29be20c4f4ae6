package engine

import (
	"maps"
	"sync"
	"time"

	"github.com/blox/blox/daemon-scheduler/clusterstate"
	"github.com/blox/blox/daemon-scheduler/ecsapi"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
)

const (
	// improvementRetention is the longest back-off of a failed start: an earlier improvement changes no plan.
	improvementRetention = 5 * time.Minute
)

// leaderState is the memory of a leader during one term.
type leaderState struct {
	store.Term
	since     time.Time
	queue     *workqueue // of environments
	readiness *workqueue // of cluster ARNs, whose readiness attributes are to be reconciled
	agents    clusterstate.AgentTracker
	alarms    *alarmWatch

	availability clusterstate.AvailabilityTracker
	deployments  deploymentTracker

	mu           sync.Mutex
	verifiedAt   map[string]time.Time              // by environment: last search in ECS for tasks that the cache lacks
	improvedAt   map[string]time.Time              // by instance ARN: when a start that failed there became worth a retry
	prunedAt     time.Time                         // when old entries of improvedAt were last removed
	stopRequests map[string]map[string]stopRequest // by environment and task ARN
	bakes        map[string]bake                   // by environment
	// unconfirmedAt is when ECS did not confirm a task that a stop relied on, by environment and task ARN.
	unconfirmedAt map[string]map[string]time.Time
	clusterOf     map[string]string // by environment: the ARN of its cluster when it last changed
	suppressed    map[environment.AttributeKey]time.Time
	starts        map[string]map[string]startAnswers // by environment and deployment id
	openLaunches  map[string]sightings               // of open launches, by environment
	// listed has the attributes in use as ECS last listed them, by cluster ARN and name. The inner maps never change.
	listed map[string]map[string]planner.AttributeListing
	skewed map[string]sightings // of launches with times that are too far ahead, by environment

	describeFailures map[string]describeFailure // by cluster ARN; guarded by mu
	clusterCheckedAt map[string]time.Time       // by environment; guarded by mu

	healthChanges map[string]bool // environments that may have other tasks to read the health of; guarded by mu

	stepTimers map[string]planner.StepTimer // by environment; guarded by mu

	lookUpAfter time.Time // when the health checks of completed deployments may be looked up again
}

func newLeaderState(term store.Term) *leaderState {
	return &leaderState{
		Term: term, since: time.Now(), queue: newWorkqueue(), readiness: newWorkqueue(),
		alarms:     newAlarmWatch(),
		verifiedAt: map[string]time.Time{}, improvedAt: map[string]time.Time{}, prunedAt: time.Now(),
		stopRequests: map[string]map[string]stopRequest{}, clusterOf: map[string]string{},
		suppressed: map[environment.AttributeKey]time.Time{}, starts: map[string]map[string]startAnswers{},
		openLaunches: map[string]sightings{}, skewed: map[string]sightings{},
		listed: map[string]map[string]planner.AttributeListing{}, describeFailures: map[string]describeFailure{},
		clusterCheckedAt: map[string]time.Time{}, unconfirmedAt: map[string]map[string]time.Time{},
		bakes: map[string]bake{}, healthChanges: map[string]bool{},
		stepTimers: map[string]planner.StepTimer{},
	}
}

// close ends both queues.
func (l *leaderState) close() {
	l.queue.Close()
	l.readiness.Close()
}

// recordImproved records that a start that failed on the instance may succeed now.
//
// It does so for every instance, not only where a failed start is known: ECS may refuse a start for the state that the
// instance had before the change, and that answer may arrive after the change.
func (l *leaderState) recordImproved(instance string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.prunedAt) > improvementRetention {
		maps.DeleteFunc(l.improvedAt, func(_ string, at time.Time) bool { return now.Sub(at) > improvementRetention })
		l.prunedAt = now
	}
	l.improvedAt[instance] = now
}

// improvements returns when the instances of failed launches last improved, by instance ARN.
func (l *leaderState) improvements(launches map[string]environment.Launch) map[string]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	improved := map[string]time.Time{}
	for instance, launch := range launches {
		if at, ok := l.improvedAt[instance]; ok && launch.State == environment.LaunchFailed {
			improved[instance] = at
		}
	}
	return improved
}

// verifiedSince reports whether the environment's tasks were verified against ECS after t.
func (l *leaderState) verifiedSince(name string, t time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.verifiedAt[name].After(t)
}

func (l *leaderState) recordVerified(name string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.verifiedAt[name] = at
}

// forget removes everything about an environment that was deleted.
func (l *leaderState) forget(name string) {
	l.availability.Forget(name)
	l.deployments.forget(name)
	l.alarms.monitor(name, "", ecsapi.Caller{}, nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.verifiedAt, name)
	delete(l.stopRequests, name)
	delete(l.bakes, name)
	delete(l.unconfirmedAt, name)
	delete(l.clusterCheckedAt, name)
	delete(l.starts, name)
	delete(l.skewed, name)
	delete(l.stepTimers, name)
}

// recordCluster records the cluster of an environment, empty if the environment was deleted, and returns the cluster
// that was recorded before.
func (l *leaderState) recordCluster(name, clusterARN string) (previous string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	previous = l.clusterOf[name]
	if clusterARN == "" {
		delete(l.clusterOf, name)
	} else {
		l.clusterOf[name] = clusterARN
	}
	return previous
}

// suppress postpones changes of readiness attributes that ECS has rejected.
func (l *leaderState) suppress(attributes []environment.ReadinessAttribute, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range attributes {
		l.suppressed[a.Key()] = until
	}
}

// suppressedUntil returns until when changes of readiness attributes are suppressed, and forgets the rest.
func (l *leaderState) suppressedUntil(now time.Time) map[environment.AttributeKey]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.suppressed, func(_ environment.AttributeKey, until time.Time) bool { return !now.Before(until) })
	return maps.Clone(l.suppressed)
}
