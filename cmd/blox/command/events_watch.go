package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/internal/backoff"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

const (
	eventHeartbeat = 10                               // seconds between two heartbeats of the stream
	eventSilence   = 3 * eventHeartbeat * time.Second // after which the stream is opened again
	eventRetryMax  = 5 * time.Second                  // between two attempts to open it
)

// eventWatch prints events and follows their stream.
type eventWatch struct {
	app     *app
	clients *connect.Clients
	params  *ds.ListEventsParams
	version string // of the last line
	// received reports whether the present stream has sent a line.
	received bool
	newest   time.Time // of the printed events
}

// watchEvents prints the events, and each new or merged one, until ctx ends. It opens the stream again when that ends,
// after the last line that it has printed.
func (a *app) watchEvents(ctx context.Context, c *connect.Clients, params *ds.ListEventsParams) error {
	w := &eventWatch{app: a, clients: c, params: params}
	retry := backoff.New(pollInterval, eventRetryMax)
	var failing time.Time
	for ctx.Err() == nil {
		w.received = false
		err := w.follow(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case w.received && !errors.Is(err, errOutput):
			failing = time.Time{}
			retry.Reset()
		case errors.Is(err, errOutput), err != nil && !connect.Temporary(err) && !errors.Is(err, errStreamEnded):
			return err
		case failing.IsZero():
			failing = time.Now()
			fmt.Fprintf(a.Err, "%s; reconnecting\n", summary(err))
		case time.Since(failing) > maxOutage:
			return err
		}
		retry.Wait(ctx)
	}
	return nil
}

var (
	errStreamEnded = errors.New("the service ended the stream")
	errOutput      = errors.New("print an event")
)

// follow prints the events of a list if it has no version yet, then the lines of a stream until that ends.
func (w *eventWatch) follow(ctx context.Context) error {
	if w.version == "" {
		if err := w.list(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(eventSilence, cancel)
	defer silence.Stop()
	lines := w.app.newLineWriter(nil)
	lines.handle = func(line []byte) error {
		silence.Reset(eventSilence)
		w.received = true
		return w.print(line)
	}
	p := w.params
	_, err := w.clients.Scheduler.StreamEventsContext(ctx, ds.NewStreamEventsParams().WithEnvironment(p.Environment).
		WithCluster(p.Cluster).WithAction(p.Action).WithInstance(p.Instance).WithDeployment(p.Deployment).
		WithActor(p.Actor).WithHeartbeat(conv.Pointer(int64(eventHeartbeat))).WithEntityVersion(&w.version), lines)
	var refused *connect.ResponseError
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusBadRequest && strings.Contains(refused.Text, "version"):
		fmt.Fprintln(w.app.Err, "Events are missing: the service has removed them, or etcd was restored.")
		w.version = ""
		since := strfmt.DateTime(w.newest.Add(time.Millisecond)) // the API's times have milliseconds
		w.params.SetSince(&since)
		return errStreamEnded
	case err == nil, ctx.Err() != nil: // ended, cut off or silent
		return errStreamEnded
	}
	return err
}

// list prints the newest events.
func (w *eventWatch) list(ctx context.Context) error {
	list, err := readEvents(ctx, w.clients, w.params)
	if err != nil {
		return err
	}
	for _, e := range list.Items {
		if err := w.printEvent(e); err != nil {
			return err
		}
	}
	if list.Metadata != nil {
		w.version = conv.Value(list.Metadata.EntityVersion)
	}
	return nil
}

// print prints the event of a line, unless it is a heartbeat.
func (w *eventWatch) print(line []byte) error {
	var e models.Event
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("decode a line of the stream: %w", err)
	}
	if e.ID != nil {
		if err := w.printEvent(&e); err != nil {
			return err
		}
	}
	if e.Metadata != nil {
		w.version = conv.Value(e.Metadata.EntityVersion)
	}
	return nil
}

func (w *eventWatch) printEvent(e *models.Event) error {
	if at := time.Time(conv.Value(e.LastSeenAt)); at.After(w.newest) {
		w.newest = at
	}
	if err := w.app.printEvent(e); err != nil {
		return errors.Join(errOutput, err)
	}
	return nil
}
