package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/queuemgr/queuemgr/job"
	"github.com/queuemgr/queuemgr/test/harness"
)

// measureTypeAdds compares adding a job of a type in types.d with adding the same command as it is: one
// client, by turns, median against median.
func measureTypeAdds(ctx context.Context, b *bench) error {
	dir, err := os.MkdirTemp(b.dir, "types")
	if err != nil {
		return err
	}
	text := fmt.Sprintf("[types.plain]\ncommand = [%q, \"--\", \"{source}\", \"{width}\"]\n[types.plain.params]\nsource = { type = \"string\" }\nwidth = { type = \"integer\", minimum = 1, default = 800 }\n", program)
	if err := os.WriteFile(filepath.Join(dir, "plain.toml"), []byte(text), 0o600); err != nil {
		return err
	}
	return withService(ctx, b, func(ctx context.Context, s *harness.Service) error {
		p, err := dialPoster(ctx, s.Socket())
		if err != nil {
			return err
		}
		defer p.close()
		var plain job.Spec
		if err := json.Unmarshal(spec(pausedQueue), &plain); err != nil {
			return err
		}
		typed := plain
		plain.Command = []string{program, "--", "/srv/pictures/a.png", "640"}
		typed.Command, typed.Type, typed.Params = nil, "plain", json.RawMessage(`{"source":"/srv/pictures/a.png","width":640}`)
		sides := []struct {
			spec job.Spec
			body []byte
			took []time.Duration
		}{{spec: plain}, {spec: typed}}
		for i := range sides {
			if sides[i].body, err = json.Marshal(sides[i].spec); err != nil {
				return err
			}
		}
		for range b.size.adds / 10 {
			for i := range sides {
				begin := time.Now()
				if err := p.do(http.MethodPost, "/api/jobs", sides[i].body, http.StatusCreated, nil); err != nil {
					return err
				}
				sides[i].took = append(sides[i].took, time.Since(begin))
			}
		}
		b.add(typeRatio, float64(quantile(sides[1].took, 0.5))/float64(quantile(sides[0].took, 0.5)))
		return nil
	}, "QUEUEMGR_TYPES_DIR="+dir)
}
