package ecssim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	serviceECS         = "ecs"
	serviceSQS         = "sqs"
	serviceKinesis     = "kinesis"
	serviceCloudWatch  = "cloudwatch"
	serviceSTS         = "sts"
	serviceEventBridge = "eventbridge"

	// maxBody allows SQS's largest batch with every byte escaped.
	maxBody = 8 << 20
)

// services lists the simulated services.
var services = []string{serviceECS, serviceSQS, serviceKinesis, serviceCloudWatch, serviceSTS, serviceEventBridge}

const servicesInWords = "ecs, sqs, kinesis, cloudwatch, sts or eventbridge"

// request is a call as its handler sees it.
type request struct {
	ctx         context.Context
	service     string
	body        []byte
	role        string          // ARN of the assumed role whose credentials sign the call; empty for other credentials
	baseURL     string          // of the simulator, as the client addressed it
	interrupted <-chan struct{} // closed to end long polls
}

// actionHandler returns the body of a successful response, or an error, normally an *apiError.
type actionHandler func(*Sim, request) ([]byte, error)

// apiError is an error in AWS's format.
type apiError struct {
	code    string // name of the error shape
	status  int    // 400 when 0
	message string
	query   string // SQS: code of the older query protocol, which SDKs match
	// resourceIDs are the tasks of the RunTask that used the client token, for ConflictException.
	resourceIDs []string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func invalid(format string, args ...any) error {
	return &apiError{code: "InvalidParameterException", message: fmt.Sprintf(format, args...)}
}

func clientError(format string, args ...any) error {
	return &apiError{code: "ClientException", message: fmt.Sprintf(format, args...)}
}

func sqsInvalid(format string, args ...any) error {
	return &apiError{code: "InvalidParameterValue", query: "InvalidParameterValue", message: fmt.Sprintf(format, args...)}
}

var (
	errSerialization = &apiError{
		code: "SerializationException", message: "The body is not JSON, or a field has the wrong type.",
	}
	errResponseLost = errors.New("response lost")
)

// ServeHTTP serves calls of the simulated services on every path, and the control API below /_sim/.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/_sim" || strings.HasPrefix(r.URL.Path, "/_sim/") {
		s.control.ServeHTTP(w, r)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(
			w, "AWS calls are POST requests with X-Amz-Target; the control API is below /_sim/", http.StatusMethodNotAllowed,
		)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	c := route(r, body)
	if c.handler == nil {
		s.countCall("unknown", "UnknownOperationException")
		writeResponse(w, c.protocol, nil, &apiError{code: "UnknownOperationException", query: "InvalidAction",
			message: fmt.Sprintf("The simulator has no operation %.100q.", c.target)})
		return
	}
	role, signErr := s.signer(r)
	if err != nil {
		err = &apiError{
			code: "RequestEntityTooLarge", status: http.StatusRequestEntityTooLarge,
			message: "The body could not be read: " + err.Error(),
		}
	} else if err = signErr; err == nil {
		if body, err = c.protocol.decode(body); err == nil {
			in := request{
				ctx: r.Context(), service: c.service, body: body, role: role, baseURL: baseURL(r),
				interrupted: s.queues.interruption(),
			}
			body, err = s.withFaults(c.service, c.action, in, c.handler)
			s.logFailedCall(c.action, in.body, err)
		}
	}
	s.countCall(c.action, outcome(err))
	s.countRoleCall(role, c.action)
	if errors.Is(err, errResponseLost) {
		closeConnection(w)
		return
	}
	writeResponse(w, c.protocol, body, err)
}

// withFaults performs a call subject to the current faults.
func (s *Sim) withFaults(service, action string, in request, do actionHandler) ([]byte, error) {
	s.lock()
	faults := s.faults // SetFaults replaces the maps and never modifies them
	s.unlock()
	if !s.sleep(time.Duration(forAction(faults.Latency, service, action))) {
		return nil, errUnavailable
	}
	hit := func(kind string, fractions map[string]float64) bool {
		s.lock()
		defer s.unlock()
		return s.draws.hit(kind, action, forAction(fractions, service, action))
	}
	refusal := forAction(faults.Refusals, service, action)
	switch {
	case s.isDown(service):
		return nil, errUnavailable
	case refusal.concerns(in) && hit("refusal", map[string]float64{action: refusal.Fraction}):
		return nil, refusal.err()
	case !s.limits.allow(action):
		s.countLimited(action)
		return nil, errThrottled(service, action)
	case hit("throttle", faults.Throttle):
		return nil, errThrottled(service, action)
	case hit("server error", faults.ServerErrors):
		return nil, errInternal(service, action)
	}
	body, err := do(s, in)
	switch {
	case hit("lost answer", faults.LostResponses):
		return nil, errResponseLost
	case hit("late server error", faults.LateServerErrors):
		return nil, errInternal(service, action)
	}
	return body, err
}

// sleep waits for d or Close, and reports whether the simulator is still open.
func (s *Sim) sleep(d time.Duration) bool {
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-s.done:
		case <-timer.C:
		}
	}
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

func outcome(err error) string {
	var known *apiError
	switch {
	case err == nil:
		return "succeeded"
	case errors.As(err, &known):
		return known.code
	case errors.Is(err, errResponseLost):
		return "unknown"
	}
	return "ServerException"
}

// closeConnection closes the connection without a response.
func closeConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http aborts the connection without logging
	}
	_ = conn.Close()
}

func baseURL(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// ecsAction returns a handler that performs the call and encodes its response with the lock held.
func ecsAction[In any](do func(*Sim, In) (any, error)) actionHandler {
	return func(s *Sim, r request) ([]byte, error) {
		in, err := decode[In](r)
		if err != nil {
			return nil, err
		}
		s.lock()
		defer s.unlock()
		out, err := do(s, in)
		if err != nil {
			return nil, err
		}
		return json.Marshal(out)
	}
}

// onCluster returns a handler of an action on one ACTIVE cluster.
func onCluster[In interface{ cluster() string }](do func(*Sim, *cluster, In) (any, error)) actionHandler {
	return ecsAction(func(s *Sim, in In) (any, error) {
		c, err := s.cluster(in.cluster())
		if err != nil {
			return nil, err
		}
		return do(s, c, in)
	})
}

// onQueue returns a handler of an SQS action on one queue.
func onQueue[In interface{ url() string }](do func(*Sim, request, *queue, In) (any, error)) actionHandler {
	return withoutLock(func(s *Sim, r request, in In) (any, error) {
		q, err := s.queues.byURL(in.url())
		if err != nil {
			return nil, err
		}
		return do(s, r, q, in)
	})
}

// onStream returns a handler of a Kinesis action on one stream.
func onStream[In interface{ stream() string }](do func(*Sim, request, *stream, In) (any, error)) actionHandler {
	return withoutLock(func(s *Sim, r request, in In) (any, error) {
		st, err := s.streams.find(in.stream())
		if err != nil {
			return nil, err
		}
		return do(s, r, st, in)
	})
}

// withoutLock returns a handler that does not hold the simulator's lock.
func withoutLock[In any](do func(*Sim, request, In) (any, error)) actionHandler {
	return func(s *Sim, r request) ([]byte, error) {
		in, err := decode[In](r)
		if err != nil {
			return nil, err
		}
		out, err := do(s, r, in)
		if err != nil {
			return nil, err
		}
		return json.Marshal(out)
	}
}

func isAction(name string) bool {
	return slices.Contains(services, name) || ecsActions[name] != nil || sqsActions[name] != nil ||
		kinesisActions[name] != nil || cloudWatchActions[name] != nil || stsActions[name] != nil ||
		eventBridgeActions[name] != nil
}
