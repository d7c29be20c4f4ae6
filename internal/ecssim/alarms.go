package ecssim

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// States and types of alarms, as CloudWatch spells them.
const (
	alarmOK               = "OK"
	alarmInAlarm          = "ALARM"
	alarmInsufficientData = "INSUFFICIENT_DATA"

	metricAlarm    = "MetricAlarm"
	compositeAlarm = "CompositeAlarm"
)

// Alarm is an alarm of CloudWatch. It watches no metric: PutAlarm and SetAlarmState set its state.
type Alarm struct {
	Name      string    `json:"name"`
	State     string    `json:"state"`     // OK, ALARM or INSUFFICIENT_DATA
	Type      string    `json:"type"`      // MetricAlarm or CompositeAlarm
	UpdatedAt time.Time `json:"updatedAt"` // when State last changed
}

type alarm struct {
	Alarm
	reason string // of the state
}

const maxAlarmName = 255 // characters

// PutAlarm creates an alarm, or changes its state and type. The state is OK if it is empty, and the type MetricAlarm.
func (s *Sim) PutAlarm(name, state, alarmType string) error {
	state, alarmType = cmp.Or(state, alarmOK), cmp.Or(alarmType, metricAlarm)
	switch {
	case name == "" || utf8.RuneCountInString(name) > maxAlarmName:
		return fmt.Errorf("name %.300q has not 1 to %d characters", name, maxAlarmName)
	case !isAlarmState(state):
		return fmt.Errorf("state %.100q is not OK, ALARM or INSUFFICIENT_DATA", state)
	case alarmType != metricAlarm && alarmType != compositeAlarm:
		return fmt.Errorf("type %.100q is not MetricAlarm or CompositeAlarm", alarmType)
	}
	s.lock()
	defer s.unlock()
	a := s.alarms[name]
	if a == nil {
		a = &alarm{Alarm: Alarm{Name: name}}
		s.alarms[name] = a
	}
	a.Type = alarmType
	a.setState(state, "Set by the control API of the simulator.")
	return nil
}

// DeleteAlarm deletes an alarm.
func (s *Sim) DeleteAlarm(name string) error {
	s.lock()
	defer s.unlock()
	if s.alarms[name] == nil {
		return fmt.Errorf("%w: alarm %.300q", errNotFound, name)
	}
	delete(s.alarms, name)
	return nil
}

// Alarms returns all alarms by name.
func (s *Sim) Alarms() []Alarm {
	s.lock()
	defer s.unlock()
	all := []Alarm{}
	for _, name := range slices.Sorted(maps.Keys(s.alarms)) {
		all = append(all, s.alarms[name].Alarm)
	}
	return all
}

func (s *Sim) getAlarms(url.Values, *http.Request) (any, error) {
	return map[string][]Alarm{"alarms": s.Alarms()}, nil
}

func (s *Sim) postAlarm(q url.Values, _ *http.Request) (any, error) {
	return map[string]string{"alarm": q.Get("name")}, s.PutAlarm(q.Get("name"), q.Get("state"), q.Get("type"))
}

func (s *Sim) deleteAlarm(q url.Values, _ *http.Request) (any, error) {
	return map[string]string{"alarm": q.Get("name")}, s.DeleteAlarm(q.Get("name"))
}

func isAlarmState(state string) bool {
	return state == alarmOK || state == alarmInAlarm || state == alarmInsufficientData
}

func (a *alarm) setState(state, reason string) {
	if a.State != state {
		a.UpdatedAt = now()
	}
	a.State, a.reason = state, reason
}

// cloudWatchActions maps the simulated CloudWatch actions to their handlers.
var cloudWatchActions = map[string]actionHandler{
	"DescribeAlarms": ecsAction((*Sim).describeAlarms),
	"SetAlarmState":  ecsAction((*Sim).setAlarmState),
}

type describeAlarmsInput struct {
	AlarmNames      []string
	AlarmNamePrefix string
	AlarmTypes      []string
	StateValue      string
	MaxRecords      *int
	NextToken       string
}

// Limits of DescribeAlarms.
const (
	maxAlarms     = 100
	defaultAlarms = 50
)

func (in describeAlarmsInput) validate() error {
	switch {
	case len(in.AlarmNames) > maxAlarms:
		return alarmInvalid("The parameter AlarmNames has more than %d members.", maxAlarms)
	case len(in.AlarmNames) > 0 && in.AlarmNamePrefix != "":
		return alarmInvalid("AlarmNames and AlarmNamePrefix cannot be given together.")
	case in.MaxRecords != nil && (*in.MaxRecords < 1 || *in.MaxRecords > maxAlarms):
		return alarmInvalid("The parameter MaxRecords must be between 1 and %d.", maxAlarms)
	case in.StateValue != "" && !isAlarmState(in.StateValue):
		return alarmInvalid("The parameter StateValue is not OK, ALARM or INSUFFICIENT_DATA.")
	}
	return nil
}

func (in describeAlarmsInput) matches(a *alarm) bool {
	types := in.AlarmTypes
	if len(types) == 0 {
		types = []string{metricAlarm}
	}
	return slices.Contains(types, a.Type) && strings.HasPrefix(a.Name, in.AlarmNamePrefix) &&
		(in.AlarmNames == nil || slices.Contains(in.AlarmNames, a.Name)) && (in.StateValue == "" || in.StateValue == a.State)
}

func alarmInvalid(format string, args ...any) error {
	return &apiError{code: "ValidationError", message: fmt.Sprintf(format, args...)}
}

// describeAlarms leaves out alarms that do not exist, as CloudWatch does. The token is the last name of a page.
func (s *Sim) describeAlarms(in describeAlarmsInput) (any, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	limit := defaultAlarms
	if in.MaxRecords != nil {
		limit = *in.MaxRecords
	}
	out := map[string]any{}
	byType := map[string][]any{metricAlarm: {}, compositeAlarm: {}}
	last, shown := "", 0
	for _, name := range slices.Sorted(maps.Keys(s.alarms)) {
		a := s.alarms[name]
		if name <= in.NextToken || !in.matches(a) {
			continue
		}
		if shown == limit {
			out["NextToken"] = last
			break
		}
		byType[a.Type] = append(byType[a.Type], s.showAlarm(a))
		last, shown = name, shown+1
	}
	out["MetricAlarms"], out["CompositeAlarms"] = byType[metricAlarm], byType[compositeAlarm]
	return out, nil
}

func (s *Sim) showAlarm(a *alarm) map[string]any {
	changed := float64(a.UpdatedAt.UnixMilli()) / 1000
	return map[string]any{
		"AlarmName":      a.Name,
		"AlarmArn":       "arn:" + s.cfg.Partition + ":cloudwatch:" + s.cfg.Region + ":" + s.cfg.Account + ":alarm:" + a.Name,
		"StateValue":     a.State,
		"StateReason":    a.reason,
		"ActionsEnabled": true, "StateUpdatedTimestamp": changed, "StateTransitionedTimestamp": changed,
	}
}

type setAlarmStateInput struct{ AlarmName, StateValue, StateReason string }

func (s *Sim) setAlarmState(in setAlarmStateInput) (any, error) {
	a := s.alarms[in.AlarmName]
	switch {
	case a == nil:
		return nil, &apiError{code: "ResourceNotFound", message: "Alarm " + in.AlarmName + " does not exist."}
	case !isAlarmState(in.StateValue):
		return nil, alarmInvalid("The parameter StateValue is not OK, ALARM or INSUFFICIENT_DATA.")
	case in.StateReason == "":
		return nil, alarmInvalid("The parameter StateReason is required.")
	}
	a.setState(in.StateValue, in.StateReason)
	return map[string]any{}, nil
}
