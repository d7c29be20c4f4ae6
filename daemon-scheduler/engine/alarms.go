package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/ecsapi"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/ecserrors"
)

const (
	alarmsTimeout   = 20 * time.Second // of one read of all monitored alarms of one caller
	firstAlarmRetry = time.Second
	// States of alarms that are older than these intervals, and than this time, are unknown: a few failed reads hold no
	// rollout.
	maxAlarmIntervals = 3
	minAlarmRetention = 45 * time.Second

	defaultAlarmInterval = 15 * time.Second
)

// followAlarms reads the states of the alarms that deployments in progress monitor, once for all of them, until ctx
// ends. At rest it calls nothing.
func (e *Engine) followAlarms(ctx context.Context, leader *leaderState) error {
	retry := backoff.New(firstAlarmRetry, e.AlarmInterval)
	var delay time.Duration // until the next read; zero: until a deployment monitors alarms
	var notBefore time.Time // of the next read after a failure
	for leader.alarms.await(ctx, delay) {
		names := leader.alarms.names()
		if len(names) == 0 {
			delay = 0
			continue
		}
		if delay = time.Until(notBefore); delay > 0 {
			continue
		}
		err := forEach(names, func(caller ecsapi.Caller, names []string) error {
			return e.readAlarms(ctx, leader, caller, names)
		})
		switch {
		case ctx.Err() != nil:
		case err != nil:
			delay = retry.Next()
			notBefore = time.Now().Add(delay)
			e.alarmLog.Failed(err)
		default:
			retry.Reset()
			delay = e.AlarmInterval
			e.alarmLog.Succeeded()
		}
	}
	return nil
}

// readAlarms reads the states of a caller's alarms, and queues the environments that they concern.
func (e *Engine) readAlarms(
	ctx context.Context, leader *leaderState, caller ecsapi.Caller, names []string,
) error {
	callCtx, cancel := context.WithTimeout(ctx, alarmsTimeout)
	defer cancel()
	at := time.Now()
	states, err := e.ECS.Of(caller).Alarms.States(callCtx, names)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var affected []string
	if err != nil {
		outcome, called := ecserrors.OfError(err)
		if !called {
			outcome = ecserrors.Withheld(err)
		}
		affected = leader.alarms.recordFailure(caller, outcome)
		err = fmt.Errorf("describe %d alarms: %w", len(names), err)
	} else {
		affected = leader.alarms.recordStates(caller, names, states, at)
	}
	for _, name := range affected {
		leader.queue.Add(name)
	}
	return err
}

// withAlarms returns what is known of the alarms that the environment's deployment in progress monitors. The first time
// that their states are known, it returns the environment with those that are in the ALARM state already. Learned
// reports that its record lacks this.
func (e *Engine) withAlarms(
	leader *leaderState, env environment.Environment, now time.Time,
) (next environment.Environment, alarms planner.Alarms, learned bool) {
	names := env.MonitoredAlarms()
	d, _ := env.InProgress()
	leader.alarms.monitor(env.Name, d.ID, callerOf(env), names)
	view := leader.alarms.view(callerOf(env), names, now, max(maxAlarmIntervals*e.AlarmInterval, minAlarmRetention))
	if view.held() {
		e.conditions.set(env.Name, environment.ConditionAlarmsUnknown, view.outcome)
	} else if !view.unknown {
		e.conditions.clear(env.Name, environment.ConditionAlarmsUnknown)
	}
	switch {
	case len(names) == 0:
		return env, planner.Alarms{}, false
	case d.AlarmsChecked:
		inAlarm := leader.alarms.trigger(env.Name, view.inAlarm)
		return env, planner.Alarms{Unknown: view.unknown, InAlarm: inAlarm}, false
	case view.unknown:
		return env, planner.Alarms{Unknown: true}, false
	}
	if len(view.inAlarm) > 0 {
		e.Log.WithFields(logrus.Fields{"environment": env.Name, "deployment": d.ID, "alarms": view.inAlarm}).
			Warn("alarms ignored during the deployment: one is in the ALARM state already")
	}
	return env.WithAlarmsChecked(view.inAlarm), planner.Alarms{}, true
}
