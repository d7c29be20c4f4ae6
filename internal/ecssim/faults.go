package ecssim

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Faults configures the faults to inject; the zero value injects none. All fractions are from 0 to 1.
//
// Maps by action have an action such as "StartTask" as key, or a service ("ecs", "sqs", "kinesis", "cloudwatch", "sts"
// or "eventbridge") for its other actions.
type Faults struct {
	// Throttle is the fraction of calls that are throttled, with the error of the service and action.
	Throttle map[string]float64 `json:"throttle,omitempty"`
	// ServerErrors is the fraction of calls that return 500 without effect, LateServerErrors after they took effect.
	ServerErrors     map[string]float64 `json:"serverErrors,omitempty"`
	LateServerErrors map[string]float64 `json:"lateServerErrors,omitempty"`
	// Refusals makes calls fail without effect, with an error about the caller or its permissions.
	Refusals map[string]Refusal `json:"refusals,omitempty"`
	// LostResponses is the fraction of calls that succeed but whose connection closes without a response.
	LostResponses map[string]float64 `json:"lostResponses,omitempty"`
	// Latency delays each call. As at AWS, the call is performed even if the client has timed out.
	Latency map[string]Duration `json:"latency,omitempty"`
	Events  EventFaults         `json:"events"`
	Bus     BusFaults           `json:"bus,omitzero"`
	// Delivery makes EventBridge's deliveries fail.
	Delivery DeliveryFaults `json:"delivery,omitzero"`
	// AgentFlaps disconnects ECS agents for a moment, again and again.
	AgentFlaps AgentFlaps `json:"agentFlaps,omitzero"`
	// StartFailures is the fraction of a StartTask's instances that yield a failure, StartFailureReason its reason;
	// RESOURCE:MEMORY when empty.
	StartFailures      float64 `json:"startFailures,omitempty"`
	StartFailureReason string  `json:"startFailureReason,omitempty"`
	// FailToRun is, by task definition family, the fraction of tasks that become STOPPED (TaskFailedToStart) instead of
	// RUNNING.
	FailToRun map[string]float64 `json:"failToRun,omitempty"`
	// StayPending is, by task definition family, the fraction of tasks that stay PENDING until they are stopped, as
	// while an image pull hangs.
	StayPending map[string]float64 `json:"stayPending,omitempty"`
	// Unhealthy is, by task definition family, the fraction of tasks with container health checks that become UNHEALTHY
	// instead of HEALTHY after Config.HealthDelay.
	Unhealthy map[string]float64 `json:"unhealthy,omitempty"`
	// Exits configures, by task definition family, which RUNNING tasks exit.
	Exits map[string]Exit `json:"exits,omitempty"`
	// ConsistencyLag is how long reads are stale: List calls omit a new container instance or task, DescribeTasks
	// reports it as MISSING, and ListTasks lists a stopped task as running.
	ConsistencyLag Duration `json:"consistencyLag,omitempty"`
}

// Refusal makes a fraction of calls fail with an error that AWS returns before it looks at the request.
type Refusal struct {
	Code     string  `json:"code"` // one of refusals
	Fraction float64 `json:"fraction"`
	// Cluster is the name of the only cluster whose calls are refused; empty for all.
	Cluster string `json:"cluster,omitempty"`
	// Role is the ARN of the only role whose calls are refused, AssumeRole of it included; empty for all callers.
	Role string `json:"role,omitempty"`
}

// concerns reports whether the refusal applies to a call.
func (r Refusal) concerns(call request) bool {
	var in struct {
		Cluster  string   `json:"cluster"`
		Clusters []string `json:"clusters"`
		RoleArn  string
	}
	err := json.Unmarshal(call.body, &in)
	if r.Role != "" && r.Role != call.role && r.Role != in.RoleArn {
		return false
	}
	if r.Cluster == "" {
		return true
	}
	return err == nil && slices.ContainsFunc(append(in.Clusters, in.Cluster), func(ref string) bool {
		return ref[strings.LastIndex(ref, "/")+1:] == r.Cluster
	})
}

// refusals holds the errors about callers by code. The statuses are those of "Common Error Types" in the Amazon ECS API
// Reference, but for AccessDeniedException: ECS sends it with 400.
var refusals = byCode(
	apiError{code: "AccessDeniedException", message: "User is not authorized to perform this action."},
	apiError{code: "ExpiredTokenException", status: http.StatusForbidden,
		message: "The security token included in the request is expired"},
	apiError{code: "IncompleteSignature", message: "The request signature does not conform to AWS standards."},
	apiError{code: "InvalidClientTokenId", status: http.StatusForbidden,
		message: "The security token included in the request is invalid."},
	apiError{code: "InvalidSignatureException", status: http.StatusForbidden,
		message: "The request signature we calculated does not match the signature you provided."},
	apiError{code: "MissingAuthenticationToken", status: http.StatusForbidden,
		message: "The request is missing an authentication token."},
	apiError{code: "OptInRequired", status: http.StatusForbidden,
		message: "The AWS access key ID needs a subscription for the service."},
	apiError{code: "RequestExpired", message: "The request has expired."},
	apiError{code: "RequestTimeTooSkewed", status: http.StatusForbidden,
		message: "The difference between the request time and the current time is too large."},
	apiError{code: "UnrecognizedClientException", status: http.StatusForbidden,
		message: "The security token included in the request is invalid."},
)

func (r Refusal) err() error {
	if e := refusals[r.Code]; e != nil {
		return e
	}
	return &apiError{code: r.Code, query: r.Code, message: "The call is refused."}
}

func byCode(all ...apiError) map[string]*apiError {
	byCode := make(map[string]*apiError, len(all))
	for _, e := range all {
		e.query = e.code
		byCode[e.code] = &e
	}
	return byCode
}

// EventFaults are the fractions of events that are dropped, sent twice, sent after a later one, or delayed by DelayBy.
type EventFaults struct {
	Drop      float64  `json:"drop,omitempty"`
	Duplicate float64  `json:"duplicate,omitempty"`
	Reorder   float64  `json:"reorder,omitempty"`
	Delay     float64  `json:"delay,omitempty"`
	DelayBy   Duration `json:"delayBy,omitempty"`
}

// Exit makes a fraction of the tasks exit with a code, some time after they became RUNNING.
type Exit struct {
	Fraction float64  `json:"fraction"`
	After    Duration `json:"after,omitempty"`
	ExitCode int      `json:"exitCode,omitempty"`
}

// Duration is a time.Duration that JSON shows as "1m30s".
type Duration time.Duration

// MarshalText formats the duration as time.Duration.String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText parses a duration of 0 or more as time.ParseDuration does.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err == nil && parsed < 0 {
		err = fmt.Errorf("negative duration %s", text)
	}
	*d = Duration(parsed)
	return err
}

// SetFaults replaces all faults.
func (s *Sim) SetFaults(f Faults) {
	s.lock()
	defer s.unlock()
	s.faults = f.clone()
	s.scheduleFlaps()
}

// Faults returns the current faults.
func (s *Sim) Faults() Faults {
	s.lock()
	defer s.unlock()
	return s.faults.clone()
}

func (f Faults) clone() Faults {
	for _, m := range []*map[string]float64{
		&f.Throttle, &f.ServerErrors, &f.LateServerErrors, &f.LostResponses, &f.FailToRun, &f.StayPending, &f.Unhealthy,
	} {
		*m = maps.Clone(*m)
	}
	f.Refusals = maps.Clone(f.Refusals)
	f.Latency = maps.Clone(f.Latency)
	f.Exits = maps.Clone(f.Exits)
	return f
}

// validate returns an error for unknown actions and invalid fractions.
func (f Faults) validate() error {
	fractions := map[string]float64{
		"startFailures": f.StartFailures,
		"bus.fraction":  f.Bus.Fraction, "events.drop": f.Events.Drop, "events.duplicate": f.Events.Duplicate,
		"events.reorder": f.Events.Reorder, "events.delay": f.Events.Delay, "agentFlaps": f.AgentFlaps.Fraction,
		"delivery.fail": f.Delivery.Fail, "delivery.late": f.Delivery.Late,
	}
	if err := f.Delivery.validate(); err != nil {
		return err
	}
	if err := f.AgentFlaps.validate(); err != nil {
		return err
	}
	for name, m := range map[string]map[string]float64{
		"throttle": f.Throttle, "serverErrors": f.ServerErrors, "lateServerErrors": f.LateServerErrors,
		"lostResponses": f.LostResponses,
	} {
		for action, fraction := range m {
			fractions[name+"."+action] = fraction
			if !isAction(action) {
				return fmt.Errorf("%s: %.100q is no action, and not "+servicesInWords, name, action)
			}
		}
	}
	for action, refusal := range f.Refusals {
		fractions["refusals."+action] = refusal.Fraction
		if !isAction(action) {
			return fmt.Errorf("refusals: %.100q is no action, and not "+servicesInWords, action)
		}
		if refusals[refusal.Code] == nil {
			return fmt.Errorf("refusals.%s: %.100q is not one of %q", action, refusal.Code,
				slices.Sorted(maps.Keys(refusals)))
		}
	}
	for action := range f.Latency {
		if !isAction(action) {
			return fmt.Errorf("latency: %.100q is no action, and not "+servicesInWords, action)
		}
	}
	for name, m := range map[string]map[string]float64{
		"failToRun": f.FailToRun, "stayPending": f.StayPending, "unhealthy": f.Unhealthy,
	} {
		for family, fraction := range m {
			fractions[name+"."+family] = fraction
		}
	}
	for family, exit := range f.Exits {
		fractions["exits."+family] = exit.Fraction
	}
	for name, fraction := range fractions {
		if fraction < 0 || fraction > 1 {
			return fmt.Errorf("%.100s: %v is not a fraction from 0 to 1", name, fraction)
		}
	}
	return nil
}

func forAction[V any](m map[string]V, service, action string) V {
	if v, ok := m[action]; ok {
		return v
	}
	return m[service]
}

// faultDraws holds one random sequence for each kind of fault and each target. So the outcomes for one target do not
// depend on how often others were drawn.
type faultDraws struct {
	seed uint64
	by   map[string]*rand.Rand
}

func newFaultDraws(seed uint64) faultDraws { return faultDraws{seed, map[string]*rand.Rand{}} }

// hit draws and reports whether the fault occurs: it is true for the given fraction of calls with this kind and name.
func (d faultDraws) hit(kind, name string, fraction float64) bool {
	return fraction > 0 && d.float(kind, name) < fraction
}

// float draws a number from 0 to 1.
func (d faultDraws) float(kind, name string) float64 {
	key := kind + "\x00" + name
	r := d.by[key]
	if r == nil {
		h := fnv.New64a()
		h.Write([]byte(key))
		r = rand.New(rand.NewPCG(d.seed, h.Sum64()))
		d.by[key] = r
	}
	return r.Float64()
}
