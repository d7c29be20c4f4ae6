package api

import (
	"context"
	"iter"
	"net/http"

	"github.com/blox/blox/daemon-scheduler/events"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/httpstream"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// Query parameters of the operations on events.
var (
	eventFilters       = []string{"environment", "cluster", "action", "instance", "deployment", "actor", "since"}
	listEventFilters   = append([]string{"until", "limit", nextToken}, eventFilters...)
	streamEventFilters = append([]string{"entityVersion", "heartbeat"}, eventFilters...)
)

func (h *handler) listEvents(w http.ResponseWriter, r *http.Request) error {
	filter, err := eventFilter(r)
	if err != nil {
		return err
	}
	limit, err := limitParameter(r)
	if err != nil {
		return err
	}
	after, err := pageParameter(r)
	if err != nil {
		return err
	}
	page, err := h.Events.Query(filter, after, limit)
	if err != nil {
		return err
	}
	list := models.Events{Items: []*models.Event{}, Metadata: eventMetadata(page.Version)}
	for _, event := range page.Events {
		list.Items = append(list.Items, showEvent(event))
	}
	if page.Next != nil {
		list.NextToken = pageToken(r, *page.Next)
	}
	httpserver.JSON(w, http.StatusOK, list)
	return nil
}

// streamEvents sends a line for every change of an event until the client leaves or the service stops.
func (h *handler) streamEvents(w http.ResponseWriter, r *http.Request) error {
	filter, err := eventFilter(r)
	if err != nil {
		return err
	}
	heartbeat, err := heartbeatParameter(r)
	if err != nil {
		return err
	}
	after, err := positionParameter(r)
	if err != nil {
		return err
	}
	return httpstream.Serve(w, r, func(ctx context.Context) (iter.Seq2[httpstream.Line, error], error) {
		changes, err := h.Events.Watch(ctx, events.WatchOptions{Filter: filter, After: after, Heartbeat: heartbeat})
		if err != nil {
			return nil, err
		}
		return func(yield func(httpstream.Line, error) bool) {
			for c, err := range changes {
				if err != nil {
					yield(httpstream.Line{}, err)
					return
				}
				if !yield(httpstream.Line{Text: c.Line(eventLine)}, nil) {
					return
				}
			}
		}, nil
	}, func(err error) []byte { return httpserver.EncodeJSON(streamMessage{Error: err.Error()}) })
}

// eventLine encodes a change of an event, or a heartbeat.
func eventLine(c *events.Change) []byte {
	if c.Event == nil {
		return httpserver.EncodeJSON(struct {
			Metadata *models.EventMetadata `json:"metadata"`
		}{eventMetadata(c.Position)})
	}
	return EncodeEvent(*c.Event)
}

func eventMetadata(p events.Position) *models.EventMetadata {
	version := p.String()
	return &models.EventMetadata{EntityVersion: &version}
}
