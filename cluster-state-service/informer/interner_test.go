package informer

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// instanceJSON returns an instance of a type that many others have, and whose own attribute is its number.
func instanceJSON(n int) string {
	attributes := []string{fmt.Sprintf(`{"name":"rack","value":"r-%d"}`, n), `{"name":"ecs.capability.fsx","value":""}`}
	for i := range 40 {
		attributes = append(attributes, fmt.Sprintf(`{"name":"ecs.capability.docker-remote-api.1.%d","value":"x"}`, i))
	}
	return fmt.Sprintf(`{"metadata":{"entityVersion":"%d"},"entity":{"clusterARN":"arn:aws:ecs:us-east-1:123456789012:cluster/c",`+
		`"containerInstanceARN":"arn:aws:ecs:us-east-1:123456789012:container-instance/c/%032d","status":"ACTIVE",`+
		`"agentConnected":true,"EC2InstanceID":"i-%d",`+
		`"versionInfo":{"agentVersion":"1.86.2","agentHash":"x","dockerVersion":"y"},"attributes":[%s],`+
		`"registeredResources":[{"name":"CPU","type":"INTEGER","value":"2048"}],`+
		`"remainingResources":[{"name":"CPU","type":"INTEGER","value":"%d"}]}}`,
		n+1, n, n, strings.Join(attributes, ","), n)
}

func decodeInstance(t testing.TB, text string) *models.ContainerInstance {
	t.Helper()
	var instance models.ContainerInstance
	require.NoError(t, json.Unmarshal([]byte(text), &instance))
	return &instance
}

func TestInterner_SharesEqualPartsAndChangesNothing(t *testing.T) {
	t.Parallel()
	in := newInterner()
	one, other := decodeInstance(t, instanceJSON(1)), decodeInstance(t, instanceJSON(2))
	in.intern(one)
	in.intern(other)
	assert.Equal(t, decodeInstance(t, instanceJSON(1)), one)
	assert.Equal(t, decodeInstance(t, instanceJSON(2)), other)
	a, b := one.Entity, other.Entity
	for i := range a.Attributes {
		if i == 0 {
			assert.NotSame(t, a.Attributes[i], b.Attributes[i], "their values differ")
			assert.Same(t, a.Attributes[i].Name, b.Attributes[i].Name)
			continue
		}
		assert.Same(t, a.Attributes[i], b.Attributes[i])
	}
	assert.Same(t, a.ClusterARN, b.ClusterARN)
	assert.Same(t, a.Status, b.Status)
	assert.Same(t, a.VersionInfo, b.VersionInfo)
	assert.Same(t, a.RegisteredResources[0], b.RegisteredResources[0])
	assert.NotSame(t, a.RemainingResources[0], b.RemainingResources[0])
	assert.Equal(t, unsafe.StringData(*a.Attributes[0].Name), unsafe.StringData(*b.Attributes[0].Name))
}

func TestInterner_ForgetsWhatIsNotDecodedAgain(t *testing.T) {
	t.Parallel()
	const period, valuesOfRecord = 500, 200 // a record has fewer values
	in := newInterner()
	in.period = period
	first := decodeInstance(t, instanceJSON(0))
	in.intern(first)
	own := *first.Entity.ContainerInstanceARN
	for n := 1; n <= 2*period; n++ { // each has values of its own
		in.intern(decodeInstance(t, instanceJSON(n)))
	}
	for _, g := range []generation{in.current, in.previous} {
		assert.NotContains(t, g.strings, own)
		assert.LessOrEqual(t, len(g.strings)+len(g.objects), period+valuesOfRecord)
	}
	last := decodeInstance(t, instanceJSON(0))
	in.intern(last)
	assert.Same(t, first.Entity.Attributes[5], last.Entity.Attributes[5], "each record had it")
	assert.NotSame(t, first.Entity.ContainerInstanceARN, last.Entity.ContainerInstanceARN)
}

// Followers intern what they decode, from lists and from streams.
func TestRecords_ShareEqualParts(t *testing.T) {
	t.Parallel()
	c := newRecords(KindInstance, readInstance, instanceKeys)
	list, _, err := decodeList(strings.NewReader(`{"items":[`+instanceJSON(1)+`,`+instanceJSON(2)+
		`],"metadata":{"entityVersion":"7"}}`), c.decoded,
		func(_ *record[models.ContainerInstance], err error) { t.Error(err) })
	require.NoError(t, err)
	require.Len(t, list, 2)
	assert.Same(t, list[0].value.Entity.Attributes[1], list[1].value.Entity.Attributes[1])
	streamed, err := c.decoded(decodeInstance(t, instanceJSON(3)))
	require.NoError(t, err)
	assert.Same(t, list[0].value.Entity.Attributes[1], streamed.value.Entity.Attributes[1])
}

func BenchmarkInterner(b *testing.B) {
	texts := make([]string, 100)
	for n := range texts {
		texts[n] = instanceJSON(n)
	}
	for _, share := range []bool{false, true} {
		b.Run(fmt.Sprintf("share=%t", share), func(b *testing.B) {
			in := newInterner()
			for i := 0; b.Loop(); i++ {
				instance := decodeInstance(b, texts[i%len(texts)])
				if share {
					in.intern(instance)
				}
			}
		})
	}
}
