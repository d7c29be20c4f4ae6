// Package ecsclock estimates the time by ECS's clock.
package ecsclock

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	smithy "github.com/aws/smithy-go/middleware"
)

// dateResolution is that of the header Date, from which the SDK reads the server's time.
const dateResolution = time.Second

// Clock estimates ECS's time from ECS's responses. Ages of ECS's times are measured with it: this machine's clock may
// be wrong by hours, and an entity that has just been created would count as old. The zero Clock is ready for use. It
// is safe for concurrent use.
type Clock struct {
	mu         sync.Mutex
	serverTime time.Time // of a response, by ECS's clock; zero before the first response
	receivedAt time.Time // of that response, by this machine's clock, whose monotonic part does not step
}

// Now returns the earliest time that ECS's clock can show: up to a second and a response's way too early, and after a
// suspension of this machine, too early until the next response. Before the first response, it is this machine's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at(time.Now())
}

func (c *Clock) at(local time.Time) time.Time {
	if c.serverTime.IsZero() {
		return local
	}
	return c.serverTime.Add(local.Sub(c.receivedAt))
}

// observe learns from a response. The header Date lacks fractions of a second, so that the later of two consistent
// estimates is closer.
func (c *Clock) observe(serverTime, receivedAt time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.serverTime.IsZero() {
		if ahead := c.at(receivedAt).Sub(serverTime); 0 <= ahead && ahead < dateResolution {
			return
		}
	}
	c.serverTime, c.receivedAt = serverTime, receivedAt
}

// Option makes a client's responses, errors included, set the clock.
func (c *Clock) Option(o *ecs.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *smithy.Stack) error {
		return stack.Deserialize.Add(smithy.DeserializeMiddlewareFunc("ECSClock", func(
			ctx context.Context, in smithy.DeserializeInput, next smithy.DeserializeHandler,
		) (smithy.DeserializeOutput, smithy.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			if serverTime, ok := middleware.GetServerTime(metadata); ok && !serverTime.IsZero() {
				c.observe(serverTime, time.Now())
			}
			return out, metadata, err
		}), smithy.Before)
	})
}
