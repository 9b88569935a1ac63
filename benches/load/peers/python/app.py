"""The Python reference: FastAPI, plugins by pluggy with async hooks, SQLAlchemy over SQLite.

Environment: DB, the database; PLUGINS, a folder of folders with a plugin.py each.
"""
import importlib.util
import inspect
import os
import sys
import uuid
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pluggy
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import JSON, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine(f"sqlite:///{os.environ['DB']}", connect_args={"check_same_thread": False, "timeout": 30}, pool_size=200, max_overflow=16)


@event.listens_for(engine, "connect")
def set_pragmas(connection, _):
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


sessions = sessionmaker(bind=engine)


def now():
    return datetime.now(timezone.utc).isoformat()


class Base(DeclarativeBase):
    pass


class Clip(Base):
    __tablename__ = "clips"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    file_path: Mapped[str]
    game_name: Mapped[str | None]
    duration: Mapped[float | None]
    resolution: Mapped[str | None]
    fps: Mapped[float | None]
    tags: Mapped[Any] = mapped_column(JSON, default=list)
    clip_metadata: Mapped[Any] = mapped_column(JSON, default=dict)
    status: Mapped[str] = mapped_column(default="pending")
    created_at: Mapped[str] = mapped_column(default=now)


class Recording(Base):
    __tablename__ = "recordings"
    id: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    started_at: Mapped[str]
    ended_at: Mapped[str | None]


class EventRow(Base):
    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    type: Mapped[str]
    timestamp: Mapped[str]
    data: Mapped[str | None]


class ClipCreate(BaseModel):
    title: str = Field(min_length=1, max_length=255)
    file_path: str
    game_name: str | None = None
    duration: float | None = Field(None, ge=0)
    resolution: str | None = None
    fps: float | None = Field(None, gt=0)
    tags: list[str] = []


class ClipShown(ClipCreate):
    model_config = ConfigDict(from_attributes=True)
    id: int
    clip_metadata: dict[str, Any] = {}
    status: str
    created_at: str


spec = pluggy.HookspecMarker("panotti")


class Hooks:
    @spec
    def before_request(self, request): ...
    @spec
    def after_request(self, response): ...
    @spec
    def before_recording_start(self, recording_id): ...
    @spec
    def after_recording_end(self, recording_id): ...
    @spec
    def on_clip_captured(self, clip_data): ...


plugins = pluggy.PluginManager("panotti")
plugins.add_hookspecs(Hooks)


def load_plugins():
    for folder in sorted(Path(os.environ["PLUGINS"]).iterdir()):
        spec = importlib.util.spec_from_file_location(f"plugins.{folder.name}", folder / "plugin.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        plugins.register(module.Plugin())


async def fire(hook, **arguments):
    for result in getattr(plugins.hook, hook)(**arguments):
        if inspect.isawaitable(result):
            await result


def make_tables():
    Base.metadata.create_all(engine)
    with sessions() as db:
        db.add(Clip(id=1, title="Epic Victory", file_path="/clips/epic_victory.mp4", game_name="Counter-Strike 2", duration=45,
                    resolution="1920x1080", fps=60, tags=["ace", "clutch"], clip_metadata={}))
        db.commit()


def session():
    with sessions() as db:
        yield db


@asynccontextmanager
async def lifespan(_):
    load_plugins()
    yield


app = FastAPI(lifespan=lifespan)


@app.middleware("http")
async def ask_around(request: Request, call_next):
    await fire("before_request", request=request)
    response = await call_next(request)
    await fire("after_request", response=response)
    return response


@app.get("/api/v1/clips/{clip_id}", response_model=ClipShown)
async def get_clip(clip_id: int, db: Session = Depends(session)):
    clip = db.get(Clip, clip_id)
    if clip is None:
        raise HTTPException(404)
    return clip


@app.post("/api/v1/clips", response_model=ClipShown, status_code=201)
async def post_clip(clip: ClipCreate, db: Session = Depends(session)):
    data = clip.model_dump() | {"metadata": {}}
    await fire("on_clip_captured", clip_data=data)
    row = Clip(clip_metadata=data.pop("metadata"), **data)
    db.add(row)
    db.commit()
    db.refresh(row)
    return row


@app.post("/api/v1/recordings/start", status_code=201)
async def start(db: Session = Depends(session)):
    id = uuid.uuid4().hex
    await fire("before_recording_start", recording_id=id)
    db.add(Recording(id=id, status="active", started_at=now()))
    db.commit()
    return {"recording_id": id, "status": "active"}


@app.post("/api/v1/recordings/{id}/end")
async def end(id: str, db: Session = Depends(session)):
    recording = db.get(Recording, id)
    if recording is None:
        raise HTTPException(404)
    recording.status, recording.ended_at = "completed", now()
    db.commit()
    await fire("after_recording_end", recording_id=id)
    return {"recording_id": id, "status": "completed"}
