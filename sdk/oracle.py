#!/usr/bin/env python3
"""oracle.py FIXTURES_DIR OUT_JSON: what each vendor's own SDK says of every recorded chat reply."""
import json, sys, collections
from pathlib import Path
from parsers import anthropic_messages, bedrock_converse, gemini, openai_chat
from parsers.record import Skip, recorded
PARSERS=[openai_chat, anthropic_messages, gemini, bedrock_converse]
by={e:p for p in PARSERS for e in p.ENDPOINTS}
out={};skipped={}
for path in sorted(Path(sys.argv[1]).glob('*/*.json')):
    f=json.loads(path.read_text()); p=by.get(f['endpoint'])
    if not p: continue
    try:
        r=recorded(f,p.frame_lines)
        out[f['id']]={'dialect':p.DIALECT,'provider':f['provider'],'stream':f['stream'],'status':r.status,**p.parse(f,r)}
    except Skip as s: skipped[f['id']]=str(s)
    except Exception as e:
        import traceback; print('FAIL',path); traceback.print_exc(limit=-4); skipped[f['id']]=repr(e)
json.dump({'fixtures':out,'skipped':skipped},open(sys.argv[2],'w'),indent=1,ensure_ascii=False)
