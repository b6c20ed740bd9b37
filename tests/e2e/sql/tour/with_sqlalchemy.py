"""The SQLAlchemy tour: tables made, inspected, reflected, filled, asked, changed and dropped through its ORM.

Run by `tour.rs` with a port and, in further arguments, drivers; it works with SQLAlchemy 1.4 and 2. It ends with code 0 and
the word "done" if everything was as it should be.
"""

import datetime
import decimal
import enum
import sys
import warnings

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.exc import IntegrityError

Base = orm.declarative_base()

written_by = sa.Table(
    "written_by",
    Base.metadata,
    sa.Column("book_id", sa.ForeignKey("books.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("author_id", sa.ForeignKey("authors.id", ondelete="CASCADE"), primary_key=True),
)


class Author(Base):
    __tablename__ = "authors"
    __table_args__ = {"comment": "who writes"}
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(40), nullable=False, unique=True)
    born = sa.Column(sa.Date, comment="in the calendar of the time")
    books = orm.relationship("Book", secondary=written_by, back_populates="authors", order_by="Book.id")


class Publisher(Base):
    __tablename__ = "publishers"
    id = sa.Column(sa.BigInteger, sa.Identity(start=100, increment=5), primary_key=True)
    name = sa.Column(sa.Text, nullable=False, server_default="nobody")
    books = orm.relationship("Book", back_populates="publisher", cascade="all, delete-orphan")


class Binding(enum.Enum):
    paper = 1
    cloth = 2
    leather = 3


class Book(Base):
    __tablename__ = "books"
    __table_args__ = (
        sa.UniqueConstraint("publisher_id", "title", name="one_title_each"),
        sa.CheckConstraint("price >= 0", name="price_is_fair"),
        sa.Index("books_by_price", sa.text("price DESC"), "title"),
        sa.Index("books_by_lower_title", sa.func.lower(sa.text("title"))),
        sa.Index("cheap_books", "title", postgresql_where=sa.text("price < 10")),
    )
    id = sa.Column(sa.Integer, primary_key=True)
    title = sa.Column(sa.String(80), nullable=False, index=True)
    price = sa.Column(sa.Numeric(8, 2), nullable=False)
    cents = sa.Column(sa.Integer, sa.Computed("(price * 100)::integer"))
    sold = sa.Column(sa.Boolean, nullable=False, default=False)
    at = sa.Column(sa.DateTime(timezone=True), server_default=sa.func.now())
    tags = sa.Column(pg.ARRAY(sa.Text))
    binding = sa.Column(sa.Enum(Binding, name="binding"), nullable=False, server_default="paper", index=True)
    extra = sa.Column(pg.JSONB)
    key = sa.Column(pg.UUID(as_uuid=True), server_default=sa.text("gen_random_uuid()"))
    publisher_id = sa.Column(sa.ForeignKey("publishers.id", ondelete="CASCADE", onupdate="RESTRICT"))
    publisher = orm.relationship(Publisher, back_populates="books")
    authors = orm.relationship(Author, secondary=written_by, back_populates="books", order_by=Author.name)


TABLES = ["authors", "books", "publishers", "written_by"]


def same(found, expected):
    assert found == expected, f"{found!r} instead of {expected!r}"


def inspect(engine):
    """What the inspector says of the tables."""
    about = sa.inspect(engine)
    same(sorted(about.get_table_names()), TABLES)
    same(about.default_schema_name, "public")
    assert "public" in about.get_schema_names()
    same(about.get_view_names(), ["cheap"])
    assert "price < " in about.get_view_definition("cheap"), about.get_view_definition("cheap")
    same(sorted(about.get_sequence_names()), ["authors_id_seq", "books_id_seq", "numbers", "publishers_id_seq"])
    assert about.has_table("books") and not about.has_table("nothing")
    assert about.has_sequence("numbers") and not about.has_sequence("nothing")

    columns = {column["name"]: column for column in about.get_columns("books")}
    types = {name: str(column["type"]) for name, column in columns.items()}
    same(types["title"], "VARCHAR(80)")
    same(types["price"], "NUMERIC(8, 2)")
    same(types["tags"], "ARRAY" if types["tags"] == "ARRAY" else "TEXT[]")
    same([types[name] for name in ("id", "sold", "extra", "key", "at")], ["INTEGER", "BOOLEAN", "JSONB", "UUID", "TIMESTAMP"])
    same([name for name, column in columns.items() if not column["nullable"]], ["id", "title", "price", "sold", "binding"])
    same(columns["id"]["default"], "nextval('books_id_seq'::regclass)")
    same((columns["binding"]["type"].name, columns["binding"]["type"].enums), ("binding", ["paper", "cloth", "leather"]))
    same(columns["binding"]["default"], "'paper'::binding")
    (enumeration,) = about.get_enums()
    same((enumeration["name"], enumeration["schema"], enumeration["labels"]), ("binding", "public", ["paper", "cloth", "leather"]))
    assert "now()" in columns["at"]["default"].lower() or "current_timestamp" in columns["at"]["default"].lower()
    assert "price" in columns["cents"]["computed"]["sqltext"]
    born = next(column for column in about.get_columns("authors") if column["name"] == "born")
    same(born["comment"], "in the calendar of the time")
    key = next(column for column in about.get_columns("publishers") if column["name"] == "id")
    same((key["identity"]["start"], key["identity"]["increment"], key["identity"]["always"]), (100, 5, False))
    same([column["name"] for column in about.get_columns("cheap")], ["id", "title"])

    same(about.get_pk_constraint("books")["constrained_columns"], ["id"])
    same(about.get_pk_constraint("written_by")["constrained_columns"], ["book_id", "author_id"])
    same(about.get_pk_constraint("written_by")["name"], "written_by_pkey")
    (key,) = about.get_foreign_keys("books")
    same((key["constrained_columns"], key["referred_table"], key["referred_columns"]), (["publisher_id"], "publishers", ["id"]))
    same((key["name"], key["options"]), ("books_publisher_id_fkey", {"ondelete": "CASCADE", "onupdate": "RESTRICT"}))
    same(sorted(key["referred_table"] for key in about.get_foreign_keys("written_by")), ["authors", "books"])
    same([(u["name"], u["column_names"]) for u in about.get_unique_constraints("books")], [("one_title_each", ["publisher_id", "title"])])
    same([(u["name"], u["column_names"]) for u in about.get_unique_constraints("authors")], [("authors_name_key", ["name"])])
    (check,) = about.get_check_constraints("books")
    same(check["name"], "price_is_fair")
    assert check["sqltext"].startswith("price >= "), check
    same(about.get_table_comment("authors")["text"], "who writes")
    same(about.get_table_comment("books")["text"], None)

    indexes = {index["name"]: index for index in about.get_indexes("books")}
    # 1.4 leaves out indexes over expressions.
    over_expressions = ["books_by_lower_title"] if sa.__version__ >= "2" else []
    same(sorted(indexes), over_expressions + ["books_by_price", "cheap_books", "ix_books_binding", "ix_books_title", "one_title_each"])
    same(indexes["books_by_price"]["column_names"], ["price", "title"])
    same(indexes["books_by_price"]["column_sorting"], {"price": ("desc",)})
    same((indexes["one_title_each"]["unique"], indexes["ix_books_title"]["unique"]), (True, False))
    assert "price < " in indexes["cheap_books"]["dialect_options"]["postgresql_where"]
    if over_expressions:
        same(indexes["books_by_lower_title"]["column_names"], [None])
        assert "lower(" in indexes["books_by_lower_title"]["expressions"][0], indexes["books_by_lower_title"]


def reflect(engine):
    """Tables made from the catalog are those that were declared."""
    found = sa.MetaData()
    found.reflect(engine)
    same(sorted(found.tables), TABLES)
    for name, declared in Base.metadata.tables.items():
        table = found.tables[name]
        same([column.name for column in table.columns], [column.name for column in declared.columns])
        same([column.name for column in table.primary_key], [column.name for column in declared.primary_key])
        same(len(table.foreign_keys), len(declared.foreign_keys))


def fill(session):
    house, other = Publisher(name="House"), Publisher()
    one = Author(name="Ada", born=datetime.date(1815, 12, 10))
    two = Author(name="Bob")
    session.add_all(
        [
            Book(title="First", price=decimal.Decimal("9.50"), publisher=house, authors=[one], tags=["a", "b,c"]),
            Book(title="Second", price=20, publisher=house, authors=[two, one], binding=Binding.leather, extra={"pages": 10, "parts": [1, None]}),
            Book(title="Third", price=0, publisher=other, authors=[two]),
        ]
    )
    session.commit()
    same((house.id, other.id), (100, 105))
    same(other.name, "nobody")
    second = session.query(Book).filter_by(title="Second").one()
    same((second.cents, second.extra, second.tags), (2000, {"pages": 10, "parts": [1, None]}, None))
    same(session.query(Book.tags).filter_by(title="First").scalar(), ["a", "b,c"])
    assert second.key is not None and second.at.tzinfo is not None


def ask(session):
    names = session.execute(sa.select(Author.name).join(Author.books).where(Book.title == "Second").order_by(Author.name))
    same(names.scalars().all(), ["Ada", "Bob"])
    sums = sa.select(Publisher.name, sa.func.count(Book.id), sa.func.sum(Book.price)).join(Book).group_by(Publisher.name)
    same(session.execute(sums.order_by(Publisher.name)).all(), [("House", 2, decimal.Decimal("29.50")), ("nobody", 1, 0)])
    same([b.title for b in session.query(Book).filter(Book.price.between(0, 10)).order_by(Book.price.desc())], ["First", "Third"])
    same(session.query(Book).filter(Book.title.in_(["First", "Third", "Ninth"])).count(), 2)
    same(session.query(Book.binding).filter(Book.binding > Binding.paper).all(), [(Binding.leather,)])
    same(session.query(Book).filter(Book.binding.in_([Binding.paper, Binding.cloth])).count(), 2)
    same(session.query(sa.func.max(Book.binding)).scalar(), Binding.leather)
    same(session.query(Book.title).filter(Book.title.ilike("%IR%")).order_by(Book.title).all(), [("First",), ("Third",)])
    same(session.query(Book).filter(Book.tags.any("a")).one().title, "First")
    same(session.query(Book).filter(Book.extra["pages"].astext == "10").one().title, "Second")
    streamed = session.execute(sa.select(Book.title).order_by(Book.title), execution_options={"stream_results": True, "max_row_buffer": 1})
    same([title for title, in streamed], ["First", "Second", "Third"])
    exists = session.query(Author.name).filter(Author.books.any(Book.price > 10)).order_by(Author.name)
    same(exists.all(), [("Ada",), ("Bob",)])
    for how in (orm.joinedload, orm.selectinload, orm.subqueryload):
        session.expunge_all()
        authors = session.query(Author).options(how(Author.books)).order_by(Author.name).all()
        same([[book.title for book in author.books] for author in authors], [["First", "Second"], ["Second", "Third"]])
    rank = sa.func.rank().over(partition_by=Book.publisher_id, order_by=Book.price.desc())
    ranked = session.execute(sa.select(Book.title, rank).order_by(Book.title)).all()
    same(ranked, [("First", 2), ("Second", 1), ("Third", 1)])
    mean = sa.select(sa.func.avg(Book.price)).scalar_subquery()
    same(session.execute(sa.select(Book.title).where(Book.price > mean)).scalars().all(), ["Second"])
    page = session.query(Book.title).order_by(Book.title).limit(1).offset(1).all()
    same(page, [("Second",)])
    same(session.execute(sa.text("SELECT id FROM cheap ORDER BY id")).scalars().all(), [1, 3])


def change(session):
    ada = session.query(Author).filter_by(name="Ada").with_for_update().one()
    ada.name = "Ada L."
    session.flush()
    same(session.query(Author.name).order_by(Author.name).all(), [("Ada L.",), ("Bob",)])
    session.rollback()
    same(ada.name, "Ada")
    raised = sa.update(Book).where(Book.price == 0).values(price=Book.price + 1)
    changed = session.execute(raised.execution_options(synchronize_session=False))
    same(changed.rowcount, 1)
    session.add(Author(name="Eve"))
    nested = session.begin_nested()
    session.add(Author(name="Bob"))
    try:
        session.flush()
        raise AssertionError("two authors of one name")
    except IntegrityError as error:
        same(error.orig.pgcode if hasattr(error.orig, "pgcode") else error.orig.sqlstate, "23505")
        nested.rollback()
    session.commit()
    insert = pg.insert(Author).values(name="Eve", born=datetime.date(2000, 1, 1))
    session.execute(insert.on_conflict_do_nothing(index_elements=["name"]))
    same(session.query(Author.born).filter_by(name="Eve").scalar(), None)
    session.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"born": insert.excluded.born}))
    same(session.query(Author.born).filter_by(name="Eve").scalar(), datetime.date(2000, 1, 1))
    many = [Author(name=f"author {number}") for number in range(200)]
    session.add_all(many)
    session.flush()
    same(len({author.id for author in many}), 200)
    many = sa.delete(Author).where(Author.name.like("author %")).returning(Author.id)
    returned = session.execute(many.execution_options(synchronize_session=False)).all()
    same(len(returned), 200)
    for book in (dict(title="Negative", price=-1), dict(title="First", price=1, publisher_id=100), dict(title="Of none", price=1, publisher_id=1)):
        try:
            with session.begin_nested():
                session.execute(sa.insert(Book).values(**book))
            raise AssertionError(f"{book} is taken")
        except IntegrityError:
            pass
    session.delete(session.query(Publisher).filter_by(name="House").one())
    session.commit()
    same(session.query(Book.title).all(), [("Third",)])
    same(session.execute(sa.select(sa.func.count()).select_from(written_by)).scalar(), 1)


def tour(url):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP VIEW IF EXISTS cheap"))
        connection.execute(sa.text("DROP SEQUENCE IF EXISTS numbers"))
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE VIEW cheap AS SELECT id, title FROM books WHERE price < 10"))
        connection.execute(sa.schema.CreateSequence(sa.Sequence("numbers", start=7)))
        same(connection.execute(sa.Sequence("numbers")), 7)
    inspect(engine)
    reflect(engine)
    with orm.Session(engine) as session:
        fill(session)
        ask(session)
        change(session)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP VIEW cheap"))
        connection.execute(sa.text("DROP SEQUENCE numbers"))
    Base.metadata.drop_all(engine)
    same(sa.inspect(engine).get_table_names(), [])
    engine.dispose()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    port, *drivers = sys.argv[1:]
    for driver in drivers or ["psycopg2"]:
        tour(f"postgresql+{driver}://annulus@127.0.0.1:{port}/annulus")
    print("done")
