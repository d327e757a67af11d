package deps
import (
 _ "github.com/spf13/cobra"
 _ "github.com/danielgtaylor/huma/v2"
 _ "github.com/danielgtaylor/huma/v2/adapters/humago"
 _ "modernc.org/sqlite"
 _ "github.com/pelletier/go-toml/v2"
 _ "github.com/pressly/goose/v3"
 _ "golang.org/x/sys/unix"
 _ "golang.org/x/term"
 _ "pgregory.net/rapid"
 _ "github.com/google/go-cmp/cmp"
 _ "go.uber.org/goleak"
 _ "github.com/rogpeppe/go-internal/testscript"
)
