package ecssim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Limits of PutEvents. Source: "PutEvents" in the Amazon EventBridge API Reference.
const (
	maxEntries     = 10
	maxEntriesSize = 256 << 10 // bytes
	entryTimeSize  = 14        // bytes for which the time of an entry counts

	maxBusEvents = 10_000 // that a bus remembers
)

// BusEvent is an event that PutEvents has added to an event bus.
type BusEvent struct {
	ID         string          `json:"id"`
	Source     string          `json:"source"`
	DetailType string          `json:"detail-type"`
	Time       time.Time       `json:"time"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

// BusFaults make PutEvents fail for a fraction of its entries. The others succeed.
type BusFaults struct {
	Fraction float64 `json:"fraction,omitempty"`
	Code     string  `json:"code,omitempty"` // InternalFailure if empty
}

// CreateEventBus creates an event bus beside the one called default. It has no effect if the bus exists.
func (s *Sim) CreateEventBus(name string) error {
	if name == "" || strings.Contains(name, ":") {
		return fmt.Errorf("event bus %.300q: not a name", name)
	}
	s.lock()
	defer s.unlock()
	if s.buses[name] == nil {
		s.buses[name] = []BusEvent{}
	}
	return nil
}

// BusEvents returns the events of a bus, oldest first: the last 10,000.
func (s *Sim) BusEvents(name string) ([]BusEvent, error) {
	s.lock()
	defer s.unlock()
	bus, found := s.buses[name]
	if !found {
		return nil, fmt.Errorf("%w: event bus %.300q", errNotFound, name)
	}
	return append([]BusEvent{}, bus...), nil
}

func (s *Sim) getBus(q url.Values, _ *http.Request) (any, error) {
	events, err := s.BusEvents(q.Get("name"))
	return map[string]any{"events": events}, err
}

func (s *Sim) postBus(q url.Values, _ *http.Request) (any, error) {
	return map[string]string{"name": q.Get("name")}, s.CreateEventBus(q.Get("name"))
}

// eventBridgeActions maps the simulated EventBridge actions to their handlers.
var eventBridgeActions = map[string]actionHandler{"PutEvents": ecsAction((*Sim).putEvents)}

type putEventsInput struct {
	Entries []busEntry
}

type busEntry struct {
	EventBusName, Source, DetailType, Detail string
	Resources                                []string
	Time                                     *float64
	TraceHeader                              ignored `why:"the simulator traces nothing"`
}

func (e busEntry) size() int {
	size := len(e.Source) + len(e.DetailType) + len(e.Detail)
	if e.Time != nil {
		size += entryTimeSize
	}
	for _, r := range e.Resources {
		size += len(r)
	}
	return size
}

func busInvalid(format string, args ...any) error {
	return &apiError{code: "ValidationException", message: fmt.Sprintf(format, args...)}
}

// putEvents adds the valid entries, as EventBridge does, and returns the errors of the others.
func (s *Sim) putEvents(in putEventsInput) (any, error) {
	if len(in.Entries) == 0 || len(in.Entries) > maxEntries {
		return nil, busInvalid("Entries must have 1 to %d elements.", maxEntries)
	}
	total := 0
	for _, e := range in.Entries {
		total += e.size()
	}
	if total > maxEntriesSize {
		return nil, busInvalid("Total size of the entries in the request is over the limit.")
	}
	failed := 0
	var results []map[string]string
	for _, e := range in.Entries {
		id, code, message := s.putEvent(e)
		result := map[string]string{"EventId": id}
		if code != "" {
			failed++
			result = map[string]string{"ErrorCode": code, "ErrorMessage": message}
		}
		results = append(results, result)
	}
	return map[string]any{"FailedEntryCount": failed, "Entries": results}, nil
}

// putEvent returns the id of the event, or an error. The documentation does not say what becomes of entries for a bus
// that does not exist; here they fail.
func (s *Sim) putEvent(e busEntry) (id, code, message string) {
	name := e.EventBusName[strings.LastIndex(e.EventBusName, "/")+1:]
	if name == "" {
		name = "default"
	}
	bus, found := s.buses[name]
	switch {
	case e.Source == "" || e.DetailType == "" || e.Detail == "":
		return "", "InvalidArgument", "Parameters Source, DetailType and Detail are required."
	case strings.HasPrefix(e.Source, "aws."):
		return "", "NotAuthorizedForSourceException", "Not authorized for the source."
	case !strings.HasPrefix(strings.TrimSpace(e.Detail), "{") || !json.Valid([]byte(e.Detail)):
		return "", "MalformedDetail", "Detail is malformed."
	case !found: // not documented
		return "", "InvalidArgument", "EventBus " + name + " does not exist."
	case s.draws.hit("entry", "PutEvents", s.faults.Bus.Fraction):
		if code = s.faults.Bus.Code; code == "" {
			code = "InternalFailure"
		}
		return "", code, "The entry is refused."
	}
	at := now()
	if e.Time != nil {
		at = time.UnixMilli(int64(*e.Time * 1000)).UTC()
	}
	event := BusEvent{
		ID: uuid.NewString(), Source: e.Source, DetailType: e.DetailType, Time: at, Resources: copyOf(e.Resources),
		Detail: json.RawMessage(e.Detail),
	}
	s.buses[name] = append(bus[max(0, len(bus)-maxBusEvents+1):], event)
	return event.ID, "", ""
}
