package show

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestChanges_WritesRowsThatDiffer(t *testing.T) {
	var out strings.Builder
	var changes Changes
	write := func(cells ...[]string) string {
		out.Reset()
		rows := &Rows{Columns: Columns("NAME", "STATUS", "AGE", "TOKEN+")}
		for _, row := range cells {
			rows.Add(row...)
		}
		require.NoError(t, changes.Write(&out, rows, Style{Output: Output{Format: Table}}))
		return out.String()
	}
	assert.Empty(t, write(), "an empty table has no heading")
	changes = Changes{}
	assert.Equal(t, "NAME       STATUS  AGE\nweb-agent  active  1s\n", write([]string{"web-agent", "active", "1s", "x"}))
	assert.Empty(t, write([]string{"web-agent", "active", "2s", "y"}), "an age and a hidden column are no change")
	assert.Equal(t, "b          active  0s\n",
		write([]string{"web-agent", "active", "3s", "y"}, []string{"b", "active", "0s", "z"}), "columns keep their widths")
	assert.Equal(t, "b          paused  1s\nweb-agent  (gone)  -\n", write([]string{"b", "paused", "1s", "z"}))
	assert.Equal(t, "web-agent  active  0s\n", write([]string{"b", "paused", "9s", ""}, []string{"web-agent", "active", "0s", ""}))
}

func TestWrap_KeepsTablesAndExamples(t *testing.T) {
	text := "One sentence that is long.\nAnd another.\n\n  a  a table stays as it is\n  b\nThe end."
	assert.Equal(t, "One sentence that\nis long. And\nanother.\n\n  a  a table stays as it is\n  b\nThe end.",
		Wrap(text, 17))
	assert.Equal(t, "Unbreakable\nwords\nstay", Wrap("Unbreakable words stay", 5))
	assert.Empty(t, Wrap("", 10))
}
