package engine

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/blox/blox/daemon-scheduler/ecsapi"
	"github.com/blox/blox/internal/ecserrors"
)

// reasonAlarmNotFound is the reason of AlarmsUnknown if CloudWatch does not know an alarm.
const reasonAlarmNotFound = "AlarmNotFound"

// alarmWatch holds the states of the alarms that deployments in progress monitor, as read during one term. It is safe
// for concurrent use.
type alarmWatch struct {
	wake chan struct{} // holds an element if an alarm is monitored whose state was never read

	mu        sync.Mutex
	monitored map[string]monitoredAlarms // by environment
	readings  map[alarmKey]alarmReading
	failures  map[ecsapi.Caller]ecserrors.Outcome // of the last read by each caller, if it failed
}

// alarmKey identifies an alarm: callers may be of different accounts.
type alarmKey struct {
	caller ecsapi.Caller
	name   string
}

// monitoredAlarms are the alarms of one deployment.
type monitoredAlarms struct {
	deployment string
	caller     ecsapi.Caller
	names      []string
	triggered  []string // those that have been in the ALARM state since the deployment started
}

// alarmReading is the state of an alarm at a time; empty if CloudWatch does not know the alarm.
type alarmReading struct {
	state types.StateValue
	at    time.Time
}

func newAlarmWatch() *alarmWatch {
	return &alarmWatch{
		wake: make(chan struct{}, 1), monitored: map[string]monitoredAlarms{}, readings: map[alarmKey]alarmReading{},
		failures: map[ecsapi.Caller]ecserrors.Outcome{},
	}
}

// monitor records the alarms that an environment's deployment monitors; it ends if there are none.
func (w *alarmWatch) monitor(name, deployment string, caller ecsapi.Caller, names []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(names) == 0 {
		delete(w.monitored, name)
		return
	}
	m := w.monitored[name]
	if m.deployment != deployment {
		m = monitoredAlarms{deployment: deployment}
	}
	m.caller, m.names = caller, names
	w.monitored[name] = m
	unread := func(alarm string) bool { return w.readings[alarmKey{caller, alarm}].at.IsZero() }
	if slices.ContainsFunc(names, unread) {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// trigger records alarms that are in the ALARM state, and returns all that have been so: an alarm fails a deployment
// even if it returns to OK before the failure could be recorded.
func (w *alarmWatch) trigger(environment string, inAlarm []string) (triggered []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m, ok := w.monitored[environment]
	if !ok {
		return nil
	}
	all := append(slices.Clone(m.triggered), inAlarm...)
	slices.Sort(all)
	m.triggered = slices.Compact(all)
	w.monitored[environment] = m
	return m.triggered
}

// await waits for an unread alarm and, unless delay is zero, at most for delay. It reports false once ctx has ended.
func (w *alarmWatch) await(ctx context.Context, delay time.Duration) bool {
	var due <-chan time.Time
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-w.wake:
	case <-due:
	}
	return ctx.Err() == nil
}

// names returns the names of all monitored alarms, once each, by the caller that reads them. It forgets the others.
func (w *alarmWatch) names() map[ecsapi.Caller][]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := map[ecsapi.Caller][]string{}
	for _, m := range w.monitored {
		names[m.caller] = append(names[m.caller], m.names...)
	}
	for caller := range names {
		slices.Sort(names[caller])
		names[caller] = slices.Compact(names[caller])
	}
	maps.DeleteFunc(w.readings, func(key alarmKey, _ alarmReading) bool {
		_, found := slices.BinarySearch(names[key.caller], key.name)
		return !found
	})
	maps.DeleteFunc(w.failures, func(caller ecsapi.Caller, _ ecserrors.Outcome) bool { return names[caller] == nil })
	return names
}

// recordStates records the states of these alarms as their caller has read them, and returns the environments for which
// one has changed.
func (w *alarmWatch) recordStates(
	caller ecsapi.Caller, names []string, states ecsapi.AlarmStates, at time.Time,
) (affected []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := map[string]bool{}
	_, failed := w.failures[caller]
	for _, name := range names {
		known, read := w.readings[alarmKey{caller, name}]
		changed[name] = !read || known.state != states[name] || failed
		w.readings[alarmKey{caller, name}] = alarmReading{states[name], at}
	}
	delete(w.failures, caller)
	for environment, m := range w.monitored {
		if m.caller == caller && slices.ContainsFunc(m.names, func(name string) bool { return changed[name] }) {
			affected = append(affected, environment)
		}
	}
	return affected
}

// recordFailure records why the caller could not read the states, and returns the environments whose caller it is.
func (w *alarmWatch) recordFailure(caller ecsapi.Caller, outcome ecserrors.Outcome) (affected []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures[caller] = outcome
	for environment, m := range w.monitored {
		if m.caller == caller {
			affected = append(affected, environment)
		}
	}
	return affected
}

// alarmView is what is known of the alarms of one deployment.
type alarmView struct {
	inAlarm []string
	unknown bool              // the states of some are not known
	outcome ecserrors.Outcome // zero if they have not been read yet
}

// view returns what is known of these alarms. States older than maxAge are not known.
func (w *alarmWatch) view(
	caller ecsapi.Caller, names []string, now time.Time, maxAge time.Duration,
) (v alarmView) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var missing []string
	for _, name := range names {
		reading := w.readings[alarmKey{caller, name}]
		switch {
		case reading.at.IsZero() || now.Sub(reading.at) > maxAge:
			v.unknown = true
			v.outcome = w.failures[caller]
		case reading.state == "":
			missing = append(missing, name)
		case reading.state == types.StateValueAlarm:
			v.inAlarm = append(v.inAlarm, name)
		}
	}
	if len(missing) > 0 && !v.unknown {
		v.unknown = true
		v.outcome = ecserrors.Outcome{
			Class: ecserrors.Rejected, Code: reasonAlarmNotFound,
			Message: "CloudWatch does not know " + strings.Join(missing, ", ") + ".",
		}
	}
	return v
}

// held reports whether the view has a reason to be unknown that people must know.
func (v alarmView) held() bool { return v.unknown && cmp.Or(v.outcome.Code, v.outcome.Message) != "" }
