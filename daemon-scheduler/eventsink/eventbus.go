package eventsink

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/go-openapi/swag/conv"
)

// Limits of PutEvents. Source: "PutEvents" in the Amazon EventBridge API Reference.
const (
	maxEntries     = 10
	maxEntriesSize = 256 << 10 // bytes of all entries
	entryTimeSize  = 14        // bytes for which the time of an entry counts
)

// What rules match.
const (
	eventSource = "blox.daemon-scheduler"
	detailType  = "Blox Service Event"
)

var (
	busNamePattern = regexp.MustCompile(`^[/.\-_A-Za-z0-9]{1,256}$`)
	busARNPattern  = regexp.MustCompile(`^arn:[a-z0-9-]+:events:([a-z0-9-]+):\d{12}:event-bus/[/.\-_A-Za-z0-9]{1,256}$`)
)

// validateEventBus returns an error unless bus is the name or the ARN of an event bus.
func validateEventBus(bus string) error {
	if !busNamePattern.MatchString(bus) && !busARNPattern.MatchString(bus) {
		return fmt.Errorf("%.300q: neither the name nor the ARN of an event bus", bus)
	}
	return nil
}

// eventBus is an event bus of EventBridge.
type eventBus struct {
	client *eventbridge.Client
	bus    string // name or ARN
}

func (*eventBus) name() string   { return "eventbridge" }
func (*eventBus) batchSize() int { return maxEntries }

// send implements sink. Messages that exceed the size of one call together are sent in several.
func (b *eventBus) send(ctx context.Context, messages []message) map[int]error {
	failed := map[int]error{}
	for first := 0; first < len(messages); {
		var entries []types.PutEventsRequestEntry
		size := 0
		for _, m := range messages[first:] {
			entry := b.entry(m)
			size += entrySize(entry)
			if len(entries) > 0 && size > maxEntriesSize {
				break
			}
			entries = append(entries, entry)
		}
		for n, err := range b.put(ctx, entries) {
			failed[first+n] = err
		}
		first += len(entries)
	}
	return failed
}

func (b *eventBus) entry(m message) types.PutEventsRequestEntry {
	entry := types.PutEventsRequestEntry{
		EventBusName: &b.bus, Source: aws.String(eventSource), DetailType: aws.String(detailType),
		Detail: aws.String(string(bytes.TrimSpace(m.body))), Time: aws.Time(m.event.LastSeenAt),
	}
	if m.event.Cluster != "" {
		entry.Resources = []string{m.event.Cluster}
	}
	return entry
}

func entrySize(e types.PutEventsRequestEntry) int {
	return entryTimeSize + len(eventSource) + len(detailType) + len(*e.Detail) + len(strings.Join(e.Resources, ""))
}

// put returns the errors of entries by their index.
func (b *eventBus) put(ctx context.Context, entries []types.PutEventsRequestEntry) map[int]error {
	failed := map[int]error{}
	out, err := b.client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
	if err == nil && len(out.Entries) != len(entries) {
		err = fmt.Errorf("EventBridge returned %d results for %d entries", len(out.Entries), len(entries))
	}
	for n := range entries {
		if err != nil {
			failed[n] = err
		} else if code := conv.Value(out.Entries[n].ErrorCode); code != "" {
			failed[n] = entryError(code, conv.Value(out.Entries[n].ErrorMessage))
		}
	}
	return failed
}

// rejections are the codes of entries that EventBridge never accepts. It has others that are not worth a retry, about
// permissions and the bus: those end when an operator corrects them.
var rejections = []string{"MalformedDetail"}

func entryError(code, text string) error {
	if slices.Contains(rejections, code) {
		return fmt.Errorf("%w: %s: %s", errRejected, code, text)
	}
	return fmt.Errorf("%s: %s", code, text)
}
