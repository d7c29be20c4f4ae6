package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"golang.org/x/time/rate"
)

func TestALookStopsWhatThereAreCallsToSpareFor(t *testing.T) {
	may := func(limiter *rate.Limiter) int {
		return (&work{Engine: &Engine{Config: Config{Changes: limiter}}}).mayStop()
	}
	full := rate.NewLimiter(rate.Every(time.Hour), 50)
	assert.Equal(t, 50, may(full))
	assert.True(t, full.AllowN(time.Now(), 45))
	assert.Equal(t, someStops, may(full), "some always")
	assert.Equal(t, atMost, may(rate.NewLimiter(rate.Every(time.Hour), 5000)))
	assert.Equal(t, atMost, may(rate.NewLimiter(rate.Inf, 1)))
}
